//! The end of a reasoning block whose budget is spent.
//!
//! Invariant: which token is forced is a function of the answer so far alone, so that it does not depend on how steps
//! were cut or guessed. Read `worker/mod.rs` for where it is asked.

/// How long an answer may reason. When the budget is spent, `close` is written for the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningLimit {
    /// Tokens of the block, without its markers.
    pub budget_tokens: usize,
    /// The prompt has opened the block already.
    pub opened: bool,
    /// What opens a block at the start of an answer.
    pub open: Vec<u32>,
    /// What closes it; at least one token.
    pub close: Vec<u32>,
}

/// A block is opened by one of the first tokens of an answer or not at all.
const START_TOKENS: usize = 16;

impl ReasoningLimit {
    /// The token that must come next behind `answer`, if one must.
    pub(crate) fn forced(&self, answer: &[u32]) -> Option<u32> {
        let begin = match self.opened {
            true => 0,
            false => {
                let start = &answer[..answer.len().min(START_TOKENS + self.open.len())];
                find(start, &self.open)? + self.open.len()
            }
        };
        let (free, after) = answer[begin..].split_at_checked(self.budget_tokens)?;
        if find(free, &self.close).is_some() {
            return None;
        }
        // The model may have begun to close it by itself.
        let begun = (0..self.close.len()).rev().find(|&tokens| free.ends_with(&self.close[..tokens])).unwrap_or(0);
        self.close[begun..].get(after.len()).copied()
    }
}

fn find(tokens: &[u32], wanted: &[u32]) -> Option<usize> {
    match wanted {
        [] => None,
        wanted => tokens.windows(wanted.len()).position(|window| window == wanted),
    }
}

/// The mask (32 tokens to a word) that allows one token.
pub(crate) fn only(token: u32) -> Vec<u32> {
    let mut words = vec![0; token as usize / 32 + 1];
    words[token as usize / 32] = 1 << (token % 32);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(budget_tokens: usize, opened: bool, close: &[u32]) -> ReasoningLimit {
        ReasoningLimit { budget_tokens, opened, open: vec![1], close: close.to_vec() }
    }

    #[test]
    fn the_block_is_closed_where_the_budget_ends() {
        let limit = limit(3, false, &[7, 8]);
        for (answer, forced) in [
            (&[][..], None),
            (&[1, 2, 3], None),
            (&[1, 2, 3, 4], Some(7)),
            (&[1, 2, 3, 4, 7], Some(8)),
            (&[1, 2, 3, 4, 7, 8], None),
            (&[1, 2, 3, 4, 7, 8, 9, 9, 9], None),
            // Closed in time, or half closed.
            (&[1, 2, 7, 8, 5, 5], None),
            (&[1, 2, 3, 7], Some(8)),
            (&[1, 2, 3, 7, 8], None),
            // No block at all.
            (&[2, 3, 4, 5, 6], None),
        ] {
            assert_eq!(limit.forced(answer), forced, "{answer:?}");
        }
    }

    #[test]
    fn a_prompt_may_have_opened_it() {
        assert_eq!(limit(0, true, &[7]).forced(&[]), Some(7));
        assert_eq!(limit(2, true, &[7]).forced(&[5]), None);
        assert_eq!(limit(2, true, &[7]).forced(&[5, 6]), Some(7));
        assert_eq!(limit(2, true, &[7]).forced(&[5, 6, 7]), None);
        let late: Vec<u32> = [vec![9; 40], vec![1], vec![9; 40]].concat();
        assert_eq!(limit(2, false, &[7]).forced(&late), None, "a marker in the middle of an answer opens nothing");
    }

    #[test]
    fn masks_allow_one_token() {
        assert_eq!(only(0), [1]);
        assert_eq!(only(33), [0, 2]);
    }
}
