//! A loaded model: open a checkpoint, run steps of packed tokens, hand out logits.
//!
//! Invariant: the bits of a row's logits depend on its sequence alone, not on the other rows of the step nor on how
//! the sequence was cut into steps. Read next: `generate.rs`, `decoder.rs`.

use std::path::Path;
use std::sync::Arc;

use olivine_array::fast::linear::Precision;
use olivine_array::fast::step::{Span, StepSlot};
use olivine_array::{Array, Plan};
use olivine_formats::Mapped;
use olivine_formats::gguf::Gguf;
use olivine_formats::safetensors::Safetensors;
use olivine_kernels::attention::KvDtype;
use olivine_kernels::rope::Frequencies;

use crate::ModelError;
use crate::adapter::AdapterSites;
use crate::cache::{Cache, Sequence};
use crate::config::Config;
use crate::decoder::Decoder;
use crate::families::{self, Family};
use crate::gguf_config;
use crate::language_model::ModelFiles;
use crate::load::{Loader, WeightSizes};
use crate::spec::ModelSpec;
use crate::weights::Weights;

/// How a model is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// How exactly products are computed.
    pub precision: Precision,
    /// How keys and values are stored; none: f32 in exact runs, else bf16.
    pub kv_dtype: Option<KvDtype>,
    /// Longest sequence in tokens; none: what the model was made for.
    pub context_tokens: Option<usize>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { precision: Precision::Fast, kv_dtype: None, context_tokens: None }
    }
}

/// A model that is ready to run.
pub struct Model {
    spec: ModelSpec,
    decoder: Decoder,
    cache: Cache,
    step: StepSlot,
    ropes: Vec<Frequencies>,
    context_tokens: usize,
    plans: Vec<(PlanKey, Plan)>,
    sizes: WeightSizes,
    adapters: Arc<AdapterSites>,
    options: LoadOptions,
}

/// Rows, wanted rows, and whether these go through the head.
type PlanKey = (usize, usize, bool);

/// Steps of up to this many rows are traced once and replayed; larger ones do not repeat their shape.
const PLAN_ROWS: usize = 64;

/// Traced steps that are kept, each with its intermediate memory.
const PLANS: usize = 8;

/// Which rows of a piece of work want logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// None.
    None,
    /// The last row.
    Last,
    /// Every row.
    All,
}

/// Tokens to append to a sequence in one step.
pub struct Work<'a> {
    /// The sequence.
    pub sequence: &'a mut Sequence,
    /// Its next tokens; at least one.
    pub tokens: &'a [u32],
    /// Whose logits are wanted.
    pub outputs: Outputs,
}

/// A checkpoint that was opened but not loaded.
pub struct Checkpoint {
    /// Resolved hyper-parameters.
    pub config: Config,
    /// The family.
    pub family: &'static Family,
    /// The resolved model.
    pub spec: ModelSpec,
    /// Its tensors.
    pub weights: Weights,
}

impl Checkpoint {
    /// Open a folder with config.json and safetensors, or a GGUF file.
    pub fn open(path: &Path, context_tokens: Option<usize>) -> Result<Checkpoint, ModelError> {
        if !path.exists() {
            return Err(ModelError::NotFound(path.into()));
        }
        if path.is_file() {
            let gguf = Gguf::open(path)?;
            return Checkpoint::from_gguf(path, gguf, context_tokens);
        }
        let config_path = path.join("config.json");
        if !config_path.is_file() {
            return Err(ModelError::Missing {
                path: path.into(),
                what: "config.json".into(),
                fix: "a model folder needs config.json, *.safetensors and tokenizer.json".into(),
            });
        }
        let config = Config::from_json_file(&config_path)?;
        Checkpoint::from_config(path, config, context_tokens)
    }

    /// Open files that lie in memory.
    pub fn from_memory(files: &ModelFiles, context_tokens: Option<usize>) -> Result<Checkpoint, ModelError> {
        let mut config = Config::from_json(files.name, files.config)?;
        if let Some(tokens) = context_tokens {
            config.set("context_in_use", tokens.into());
        }
        let family = families::of_config(&config)?;
        let spec = (family.spec)(&config)?;
        let tensors = Safetensors::from_mapped(Mapped::of_static(files.name, files.weights))?;
        let weights = Weights::of_tensors(Path::new(files.name), tensors, &config, family)?;
        Ok(Checkpoint { config, family, spec, weights })
    }

    fn from_config(path: &Path, mut config: Config, context_tokens: Option<usize>) -> Result<Checkpoint, ModelError> {
        if let Some(tokens) = context_tokens {
            config.set("context_in_use", tokens.into());
        }
        let family = families::of_config(&config)?;
        let spec = (family.spec)(&config)?;
        let weights = Weights::from_safetensors(path, &config, family)?;
        Ok(Checkpoint { config, family, spec, weights })
    }

    fn from_gguf(path: &Path, gguf: Gguf, context_tokens: Option<usize>) -> Result<Checkpoint, ModelError> {
        let mut config = gguf_config::config(path, &gguf)?;
        if let Some(tokens) = context_tokens {
            config.set("context_in_use", tokens.into());
        }
        let family = families::of_gguf(&config, gguf.architecture()?)?;
        let spec = (family.spec)(&config)?;
        Ok(Checkpoint { config, family, spec, weights: Weights::from_gguf(path, gguf) })
    }
}

impl Model {
    /// Open and load.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Model, ModelError> {
        Model::load(&Checkpoint::open(path, options.context_tokens)?, options)
    }

    /// Load an opened checkpoint.
    pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Model, ModelError> {
        let spec = checkpoint.spec.clone();
        let exact = options.precision == Precision::Exact;
        let kv_dtype = options.kv_dtype.unwrap_or(if exact { KvDtype::F32 } else { KvDtype::Bf16 });
        if kv_dtype.is_quantized() && olivine_array::gpu().is_some() {
            return Err(ModelError::Unsupported {
                file: spec.family.into(),
                feature: "a cache of 8 or 4 bits on a GPU".into(),
                hint: "; use bf16, f16 or f32".into(),
            });
        }
        let options = LoadOptions { kv_dtype: Some(kv_dtype), ..options.clone() };
        let cache = Cache::new(&spec, kv_dtype);
        let step = StepSlot::default();
        let mut loader = Loader {
            weights: &checkpoint.weights,
            spec: &spec,
            precision: options.precision,
            pool: olivine_array::pool(),
            step: step.clone(),
            cache: &cache,
            ropes: Vec::new(),
            sizes: Default::default(),
            sites: Default::default(),
        };
        let decoder = Decoder::load(&mut loader)?;
        let sizes = loader.sizes.get();
        let sites = loader.sites.take();
        let adapters = Arc::new(AdapterSites::new(sites, checkpoint.family, options.precision));
        let ropes = loader.ropes.into_iter().map(|(_, frequencies)| frequencies).collect();
        let context_tokens = options.context_tokens.unwrap_or(spec.context_tokens);
        Ok(Model { spec, decoder, cache, step, ropes, context_tokens, plans: Vec::new(), sizes, adapters, options })
    }

    /// The resolved model.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Longest sequence in tokens.
    pub fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// Bytes of the weights in memory.
    pub fn weight_sizes(&self) -> WeightSizes {
        self.sizes
    }

    /// How the model was loaded; the type of keys and values is filled in.
    pub fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// What adapters are fitted to; sequences carry them ([`Sequence::set_adapter`]).
    pub fn adapters(&self) -> &Arc<AdapterSites> {
        &self.adapters
    }

    /// The cache, to make, cut and release sequences.
    pub fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Run one step over all work at once; the wanted rows' logits, `[rows, vocabulary]`, in the order of the work.
    pub fn step(&mut self, work: &mut [Work<'_>]) -> Vec<f32> {
        self.run(work, true)
    }

    /// Run one step over all work at once; the wanted rows' hidden states behind the last norm, `[rows, hidden]`, in the
    /// order of the work.
    pub fn hidden(&mut self, work: &mut [Work<'_>]) -> Vec<f32> {
        self.run(work, false)
    }

    fn run(&mut self, work: &mut [Work<'_>], head: bool) -> Vec<f32> {
        let (mut tokens, mut outputs, mut positions) = (Vec::new(), Vec::new(), Vec::new());
        let mut spans: Vec<Span> = Vec::with_capacity(work.len());
        for piece in work {
            let first_row = tokens.len();
            let span = self.cache.extend(piece.sequence, first_row, piece.tokens.len());
            positions.extend((0..span.rows).map(|row| (span.first_position + row) as i32));
            let unknown = piece.tokens.iter().find(|&&token| token as usize >= self.spec.vocabulary);
            assert!(unknown.is_none(), "[model] token {unknown:?} of a vocabulary of {}", self.spec.vocabulary);
            tokens.extend_from_slice(piece.tokens);
            let rows = first_row as u32..tokens.len() as u32;
            match piece.outputs {
                Outputs::None => {}
                Outputs::Last => outputs.extend(rows.last()),
                Outputs::All => outputs.extend(rows),
            }
            spans.push(span);
        }
        let pool = olivine_array::pool();
        self.step.update(|step| {
            step.angles.resize_with(self.ropes.len(), Default::default);
            for (angles, frequencies) in step.angles.iter_mut().zip(&self.ropes) {
                angles.fill(&pool, frequencies, &positions);
            }
            step.spans = spans;
        });
        let wanted = if outputs.is_empty() { vec![tokens.len() as u32 - 1] } else { outputs.clone() };
        let tokens = Array::from_slice(&tokens, &[tokens.len()]);
        let wanted = Array::from_slice(&wanted, &[wanted.len()]);
        // Rows that nobody wants need not go through the head, which is a large part of a small model.
        let rows = self.forward(&tokens, &wanted, head && !outputs.is_empty()).to_vec::<f32>();
        if outputs.is_empty() { Vec::new() } else { rows }
    }

    fn forward(&mut self, tokens: &Array, wanted: &Array, head: bool) -> Array {
        let decoder = &self.decoder;
        let through = |tokens: &Array, wanted: &Array| match head {
            true => decoder.forward(tokens, wanted),
            false => decoder.hidden(tokens, wanted).array(),
        };
        let key = (tokens.size(), wanted.size(), head);
        if key.0 > PLAN_ROWS {
            return through(tokens, wanted);
        }
        let known = self.plans.iter().position(|(of, _)| *of == key);
        let mut entry = match known {
            Some(index) => self.plans.remove(index),
            None => (key, Plan::trace(&[tokens, wanted], |inputs| vec![through(&inputs[0], &inputs[1])])),
        };
        let logits = entry.1.run(&[tokens, wanted]).remove(0);
        // The most recently used plan is the last.
        self.plans.push(entry);
        if self.plans.len() > PLANS {
            self.plans.remove(0);
        }
        logits
    }
}
