use insula_ns::survey::*;
fn main() {
    let t = std::time::Instant::now();
    let s = Survey::of_host(Scope::Everything, &[]).unwrap();
    eprintln!("{:?}", t.elapsed());
    let t = std::time::Instant::now();
    let _ = Survey::of_host(Scope::Processes, &[]).unwrap();
    eprintln!("{:?} processes only; unreadable {}", t.elapsed(), s.unreadable);
    let what = std::env::args().nth(1).unwrap_or("table".into());
    let f = match what.as_str() {
        "table" => insula_ns::render::table,
        "tree" => insula_ns::render::tree,
        "json" => insula_ns::render::json,
        "dot" => insula_ns::render::dot,
        "mermaid" => insula_ns::render::mermaid,
        _ => insula_ns::render::svg,
    };
    print!("{}", f(&s));
}
