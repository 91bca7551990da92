//! Tokens matched whole before anything else: `<|im_end|>`, `<think>`, runs of spaces some vocabularies add.
//!
//! Invariant: matches are leftmost, then longest, and do not overlap; a token that may not match (wrong surroundings, or
//! special while special tokens are not parsed) hides what its spelling covers. Read `pipeline` for when this runs.

use aho_corasick::{AhoCorasick, MatchKind};

/// A token matched whole.
#[derive(Clone, Debug)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// Its spelling.
    pub content: String,
    /// A control token: matched only when special tokens are parsed.
    pub special: bool,
    /// Matched in normalized text instead of raw text.
    pub normalized: bool,
    /// Swallows white space before it.
    pub lstrip: bool,
    /// Swallows white space after it.
    pub rstrip: bool,
    /// Matches only between characters that do not belong to words.
    pub single_word: bool,
}

impl AddedToken {
    /// A token matched in raw text, whatever surrounds it.
    pub fn plain(id: u32, content: &str, special: bool) -> AddedToken {
        let content = content.to_string();
        AddedToken { id, content, special, normalized: false, lstrip: false, rstrip: false, single_word: false }
    }
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text to be encoded.
    Text(&'a str),
    /// A token found.
    Token(u32),
}

/// A set of tokens to find.
pub struct AddedTokens {
    tokens: Vec<AddedToken>,
    automaton: Option<AhoCorasick>,
}

impl AddedTokens {
    /// Prepares the search.
    pub fn new(tokens: Vec<AddedToken>) -> AddedTokens {
        let tokens: Vec<AddedToken> = tokens.into_iter().filter(|token| !token.content.is_empty()).collect();
        let automaton = (!tokens.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(tokens.iter().map(|token| &token.content))
                .expect("the spellings of a vocabulary fit an automaton")
        });
        AddedTokens { tokens, automaton }
    }

    /// Cuts a text at the tokens in it; empty texts are left out.
    pub fn split<'a>(&self, text: &'a str, parse_special: bool, mut each: impl FnMut(Segment<'a>)) {
        let mut done = 0;
        if let Some(automaton) = &self.automaton {
            for found in automaton.find_iter(text) {
                let token = &self.tokens[found.pattern().as_usize()];
                let (before, after) = (&text[..found.start()], &text[found.end()..]);
                if (token.special && !parse_special) || (token.single_word && !stands_alone(before, after)) {
                    continue;
                }
                let start = if token.lstrip { before.trim_end().len().max(done) } else { found.start().max(done) };
                let end = found.end() + if token.rstrip { after.len() - after.trim_start().len() } else { 0 };
                if start > done {
                    each(Segment::Text(&text[done..start]));
                }
                each(Segment::Token(token.id));
                done = end.max(done);
            }
        }
        if done < text.len() {
            each(Segment::Text(&text[done..]));
        }
    }
}

fn stands_alone(before: &str, after: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    !before.chars().next_back().is_some_and(is_word) && !after.chars().next().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(tokens: Vec<AddedToken>, text: &str, parse_special: bool) -> Vec<String> {
        let mut out = Vec::new();
        AddedTokens::new(tokens).split(text, parse_special, |segment| {
            out.push(match segment {
                Segment::Text(text) => text.to_string(),
                Segment::Token(id) => format!("#{id}"),
            });
        });
        out
    }

    #[test]
    fn the_longest_leftmost_token_wins() {
        let tokens = || vec![AddedToken::plain(1, "<a>", true), AddedToken::plain(2, "<a><b>", false)];
        assert_eq!(segments(tokens(), "x<a><b><a>", true), ["x", "#2", "#1"]);
        assert_eq!(segments(tokens(), "<a> <a><b>", false), ["<a> ", "#2"]);
    }

    #[test]
    fn surroundings_count() {
        let mut strip = AddedToken::plain(1, "<m>", true);
        strip.lstrip = true;
        strip.rstrip = true;
        let mut word = AddedToken::plain(2, "cat", false);
        word.single_word = true;
        let text = "a  <m>\n b concat cat";
        assert_eq!(segments(vec![strip, word], text, true), ["a", "#1", "b concat ", "#2"]);
    }
}
