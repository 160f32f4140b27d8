//! Functions of the loader, which a static program does not have.

cfg_if::cfg_if! {
    if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

/// The address of a symbol of another object; 0 where no object has it. Weak, so that a static program is not linked
/// with the loader.
macro_rules! weak {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads a word that the loader has written.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                arch::load_from_got!($name),
                out(reg) address,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        address
    }};
}

/// The addresses of the loader's functions `dladdr` and `dlopen`; 0 in a static program.
#[allow(dead_code, reason = "the C interface does not use it")]
pub(crate) fn loader() -> (usize, usize) {
    (weak!("dladdr"), weak!("dlopen"))
}
