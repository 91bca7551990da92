//! How tokens are chosen, as a request says it.
//!
//! Read next: [`crate::sampling`], which follows it.

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0: the most likely token, always.
    pub temperature: f32,
    /// Keep the k most likely; 0: all.
    pub top_k: usize,
    /// Keep the most likely until their sum reaches this; 1: all.
    pub top_p: f32,
    /// Drop what is less likely than this share of the most likely; 0: none.
    pub min_p: f32,
    /// Locally typical sampling (arXiv:2202.00666): keep what is nearest to the entropy until this sum; 1: all.
    pub typical_p: f32,
    /// Divide positive and multiply negative logits of tokens seen lately; 1: off.
    pub repetition_penalty: f32,
    /// Subtracted once from tokens seen lately.
    pub presence_penalty: f32,
    /// Subtracted from tokens seen lately for each time.
    pub frequency_penalty: f32,
    /// How many tokens back the penalties look.
    pub penalty_tokens: usize,
    /// Added to single tokens' logits.
    pub logit_bias: Vec<(u32, f32)>,
    /// Of the random numbers.
    pub seed: u64,
    /// How many alternatives to report with log-probabilities; none: no report.
    pub logprobs: Option<usize>,
}

impl Default for SamplingOptions {
    fn default() -> SamplingOptions {
        SamplingOptions {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_tokens: 64,
            logit_bias: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

impl SamplingOptions {
    /// What is wrong with the options, naming the option.
    pub fn check(&self) -> Result<(), String> {
        let unit = |name: &str, value: f32| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} must be from 0 to 1, not {value}")),
        };
        unit("top_p", self.top_p)?;
        unit("min_p", self.min_p)?;
        unit("typical_p", self.typical_p)?;
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(format!("temperature must be 0 or more, not {}", self.temperature));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return Err(format!("repetition_penalty must be above 0, not {}", self.repetition_penalty));
        }
        for (name, value) in
            [("presence_penalty", self.presence_penalty), ("frequency_penalty", self.frequency_penalty)]
        {
            if !value.is_finite() {
                return Err(format!("{name} must be a number, not {value}"));
            }
        }
        Ok(())
    }
}
