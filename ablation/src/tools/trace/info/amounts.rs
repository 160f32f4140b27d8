//! How bytes and times look where they differ by many powers.

use crate::report::number::number;

/// `512 B`, `1.50 KiB`, `32.0 MiB`.
pub(super) fn bytes(value: u64) -> String {
    let value = value as f64;
    let units = [(1.0, "B"), (1024.0, "KiB"), (1_048_576.0, "MiB"), (1_073_741_824.0, "GiB")];
    let (size, unit) = units.into_iter().rev().find(|(size, _)| value >= *size).unwrap_or(units[0]);
    if size > 1.0 { format!("{} {unit}", number(value / size)) } else { format!("{value:.0} {unit}") }
}

/// `70 ns`, `1.50 µs`, `32.0 ms`, `4.00 s`.
pub(super) fn time(ns: u64) -> String {
    let value = ns as f64;
    let units = [(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")];
    let (size, unit) = units.into_iter().rev().find(|(size, _)| value >= *size).unwrap_or(units[0]);
    if size > 1.0 { format!("{} {unit}", number(value / size)) } else { format!("{value:.0} {unit}") }
}

/// A power of two as a size: `64`, `4 Ki`, `2 Mi`.
pub(super) fn size_class(size_max: u64) -> String {
    match size_max {
        0..1024 => format!("{size_max} B"),
        1024..0x10_0000 => format!("{} KiB", size_max >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", size_max >> 20),
        _ => format!("{} GiB", size_max >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit() {
        assert_eq!([0, 512, 1536, 32 << 20].map(bytes), ["0 B", "512 B", "1.50 KiB", "32.0 MiB"]);
        assert_eq!([0, 70, 1500, 4_000_000_000].map(time), ["0 ns", "70 ns", "1.50 µs", "4.00 s"]);
        assert_eq!([1, 64, 4096, 2 << 20, 1 << 40].map(size_class), ["1 B", "64 B", "4 KiB", "2 MiB", "1024 GiB"]);
    }
}
