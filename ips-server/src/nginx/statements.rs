//! nginx's own grammar, as far as it is needed: statements, and the blocks they are in.

/// One statement of a configuration file.
pub(super) struct Statement {
    pub(super) words: Vec<String>,
    /// Line of its file, from 1.
    pub(super) number: usize,
    /// The first word of its block; none at the top level of its file, which may be included
    /// anywhere.
    pub(super) block: Option<String>,
    /// Its `server { }`: how many statements the file has before that.
    pub(super) server: Option<usize>,
}

/// Splits a file at `;`, `{` and `}`, outside comments and quotes.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut all = Vec::new();
    let mut blocks: Vec<(String, usize)> = Vec::new();
    let (mut words, mut word, mut began) = (Vec::new(), String::new(), 0);
    let (mut quote, mut comment) = (None, false);
    for (number, line) in (1..).zip(text.lines()) {
        for c in line.chars().chain(['\n']) {
            if comment {
                comment = c != '\n';
            } else if let Some(open) = quote {
                if c == open {
                    quote = None;
                } else {
                    word.push(c);
                }
            } else if matches!(c, '"' | '\'') && word.is_empty() {
                quote = Some(c);
            } else if c == '#' && word.is_empty() {
                comment = true;
            } else if c.is_whitespace() || matches!(c, ';' | '{' | '}') {
                if !word.is_empty() {
                    began = if words.is_empty() { number } else { began };
                    words.push(std::mem::take(&mut word));
                }
                if matches!(c, ';' | '{' | '}') {
                    let block = blocks.last().map(|(name, _)| name.clone());
                    let mut outer = blocks.iter().rev();
                    let server = outer.find(|(name, _)| name == "server").map(|(_, at)| *at);
                    let before = all.len();
                    let first = words.first().cloned().unwrap_or_default();
                    if !words.is_empty() {
                        all.push(Statement {
                            words: std::mem::take(&mut words),
                            number: began,
                            block,
                            server,
                        });
                    }
                    match c {
                        '{' => blocks.push((first, before)),
                        '}' => drop(blocks.pop()),
                        _ => {}
                    }
                }
            } else {
                word.push(c);
            }
        }
    }
    all
}
