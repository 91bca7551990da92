//! Stop strings: text up to the first of them, nothing of it behind.
//!
//! Invariant: what is held back is only what may still be the start of a stop string; how text is cut into pieces does
//! not matter.

/// Watches the text of one answer.
pub(crate) struct StopFilter {
    stop: Vec<String>,
    pending: String,
    /// Which stop string ended the answer.
    pub(crate) stopped: Option<String>,
}

impl StopFilter {
    pub(crate) fn new(stop: &[String]) -> StopFilter {
        let stop = stop.iter().filter(|text| !text.is_empty()).cloned().collect();
        StopFilter { stop, pending: String::new(), stopped: None }
    }

    /// Takes more text; returns what may be shown.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.stopped.is_some() {
            return String::new();
        }
        if self.stop.is_empty() {
            return text.to_string();
        }
        self.pending.push_str(text);
        let first = self.stop.iter().filter_map(|stop| Some((self.pending.find(stop.as_str())?, stop)));
        if let Some((at, stop)) = first.min_by_key(|(at, stop)| (*at, std::cmp::Reverse(stop.len()))) {
            self.stopped = Some(stop.clone());
            self.pending.truncate(at);
            return std::mem::take(&mut self.pending);
        }
        let held = |at: &usize| {
            self.pending.is_char_boundary(*at) && self.stop.iter().any(|stop| stop.starts_with(&self.pending[*at..]))
        };
        let safe = (0..self.pending.len()).find(held).unwrap_or(self.pending.len());
        self.pending.drain(..safe).collect()
    }

    /// The answer has ended otherwise: what was held back is text.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stop: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let stop: Vec<String> = stop.iter().map(|text| text.to_string()).collect();
        let mut filter = StopFilter::new(&stop);
        let mut text: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        text += &filter.finish();
        (text, filter.stopped)
    }

    #[test]
    fn text_ends_before_the_first_stop_string_however_it_is_cut() {
        let text = "one two END three";
        for cut in 0..text.len() {
            let pieces = [&text[..cut], &text[cut..]];
            assert_eq!(run(&["END", "three"], &pieces), ("one two ".into(), Some("END".into())));
            assert_eq!(run(&["ENDING"], &pieces), (text.into(), None));
            assert_eq!(run(&["", "two E", "wo END"], &pieces), ("one ".into(), Some("two E".into())));
        }
    }
}
