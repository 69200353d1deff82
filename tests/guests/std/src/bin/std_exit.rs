//! Exits with the code that its argument says.

fn main() {
    let code = std::env::args().nth(1).expect("an exit code as the argument");
    std::process::exit(code.parse().expect("a number"));
}
