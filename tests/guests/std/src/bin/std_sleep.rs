//! Sleeps for as many milliseconds as its argument says.

fn main() {
    let milliseconds = std::env::args().nth(1).expect("milliseconds").parse().expect("a number");
    println!("sleeping");
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    println!("awake");
}
