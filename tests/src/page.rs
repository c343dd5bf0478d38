// SPDX-License-Identifier: Apache-2.0
//! Pages whose examples are run: the commands of their `console` blocks, and what the page shows that they print.

/// One command of a page with the output that the page shows.
#[derive(Debug)]
pub struct Example {
    /// Where it stands in the page.
    pub line: usize,
    /// Whether it stands behind `$`, as commands of ordinary users do.
    pub ordinary: bool,
    /// For a shell.
    pub command: String,
    /// Line by line.
    pub shown: Vec<String>,
}

/// The examples of all `console` blocks of `text`, in order.
pub fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")) {
                Some(command) => {
                    let ordinary = line.starts_with('$');
                    found.push(Example { line: number + 1, ordinary, command: command.into(), shown: Vec::new() });
                }
                None => found.last_mut().expect("a block begins with a command").shown.push(line.into()),
            },
        }
    }
    found
}

/// Whether `printed` is what a page's line shows: `…` is any text, runs of blanks count as one.
fn matches(shown: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed = words(printed);
    let mut rest = printed.as_str();
    let pieces: Vec<String> = shown.split('…').map(words).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let at = match rest.find(piece.as_str()) {
            Some(at) if index > 0 || at == 0 => at,
            _ => return false,
        };
        rest = rest[at + piece.len()..].trim_start();
    }
    rest.is_empty() || pieces.last().is_some_and(String::is_empty)
}

impl Example {
    /// Compares what the command printed with what the page shows.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, printed: &str) -> Result<(), String> {
        let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
        compare(&self.shown, &lines)
    }
}

/// Compares line by line; a line of the page that is only `…` stands for any number of lines.
fn compare(shown: &[String], printed: &[&str]) -> Result<(), String> {
    match shown.split_first() {
        None if printed.is_empty() => Ok(()),
        None => Err(format!("more than shown: {printed:?}")),
        Some((line, rest)) if line == "…" => {
            let fits = (0..=printed.len()).any(|skipped| compare(rest, &printed[skipped..]).is_ok());
            if fits { Ok(()) } else { Err(format!("nothing printed fits {rest:?}: {printed:?}")) }
        }
        Some((line, rest)) => match printed.split_first() {
            Some((first, others)) if matches(line, first) => compare(rest, others),
            other => Err(format!("shown is {line:?}, printed {:?}", other.map(|(first, _)| first))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_gaps() {
        assert!(matches("a … c", "a   b c"));
        assert!(matches("user:[…]", "user:[4711]"));
        assert!(!matches("user:[…]", "pid:[4711]"));
        assert!(matches("web …", "web"));
        assert!(!matches("web", "web2"));
        assert!(compare(&["…".into(), "x".into()], &["a", "b", "x"]).is_ok());
        assert!(compare(&["a".into()], &["a", "b"]).is_err());
    }
}
