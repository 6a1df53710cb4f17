//! The program: everything is in the library.

fn main() -> failover::cli::Exit {
    failover::cli::main()
}
