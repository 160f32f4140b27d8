//! `cargo ablate`: tells what each part of a program costs, and proves it.

fn main() -> std::process::ExitCode {
    ablation::cmd::main()
}
