//! What of a binary is loaded when it runs: two files with the same code can differ in their symbols and in the linker's
//! note of their hash, because names of symbols are made of hashes of the sources.

use object::{Object as _, ObjectSection as _, SectionFlags};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// The linker's hash of the whole file.
const BUILD_ID: &str = ".note.gnu.build-id";

/// SHA-256 of everything that is loaded of an ELF file, hexadecimal: names, addresses and bytes of its allocated sections.
/// `None` for a file that is no ELF file, or has no sections.
pub(super) fn sha256_of_code(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let file = object::File::parse(bytes.as_slice()).ok()?;
    let mut hasher = Sha256::new();
    let mut any = false;
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return None };
        let name = section.name().ok()?;
        if (sh_flags & object::elf::SHF_ALLOC).0 == 0 || name == BUILD_ID {
            continue;
        }
        any = true;
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(section.address().to_le_bytes());
        hasher.update(section.size().to_le_bytes());
        // Sections of zeros have no bytes.
        hasher.update(section.data().unwrap_or_default());
    }
    any.then(|| hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn symbols_do_not_count_and_code_does() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let built = |name: &str, text: &str, more: &[&str]| {
            let (source, program) = (dir.path().join("program.c"), dir.path().join(name));
            std::fs::write(&source, text).expect("writes");
            let status = Command::new("cc").arg(&source).args(more).arg("-o").arg(&program).status();
            assert!(status.expect("there is a C compiler").success());
            let whole = crate::support::machine::sha256_of(&program).expect("reads");
            (whole, sha256_of_code(&program).expect("an ELF file"))
        };
        let one = built("one", "static int a(void) { return 1; } int main(void) { return a(); }", &["-O0"]);
        let renamed = built("two", "static int b(void) { return 1; } int main(void) { return b(); }", &["-O0"]);
        let stripped =
            built("three", "static int a(void) { return 1; } int main(void) { return a(); }", &["-O0", "-s"]);
        let other = built("four", "static int a(void) { return 2; } int main(void) { return a(); }", &["-O0"]);
        assert!(one.0 != renamed.0 && one.1 == renamed.1);
        assert!(one.0 != stripped.0 && one.1 == stripped.1);
        assert_ne!(one.1, other.1);
        std::fs::write(dir.path().join("text"), "no program").expect("writes");
        assert_eq!(sha256_of_code(&dir.path().join("text")), None);
    }
}
