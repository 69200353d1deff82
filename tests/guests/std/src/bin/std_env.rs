//! Prints its arguments and environment, one a line, sorted where the host may choose the order.

fn main() {
    for argument in std::env::args().skip(1) {
        println!("argument {argument:?}");
    }
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("variable {name}={value}");
    }
}
