//! A loaded model: open a checkpoint, run steps of packed tokens, hand out logits.
//!
//! Invariant: the bits of a row's logits depend on its sequence alone, not on the other rows of the step nor on how
//! the sequence was cut into steps. Read next: `generate.rs`, `decoder.rs`.

use std::path::Path;
use std::sync::Arc;

use olivine_array::fast::greatest::Reader;
use olivine_array::fast::linear::Precision;
use olivine_array::fast::step::{Span, StepSlot};
use olivine_array::{Array, Gpu, Plan};
use olivine_formats::Mapped;
use olivine_formats::gguf::Gguf;
use olivine_formats::safetensors::Safetensors;
use olivine_kernels::attention::KvDtype;
use olivine_kernels::qmatmul::Rest;
use olivine_kernels::rope::Frequencies;

use crate::ModelError;
use crate::adapter::AdapterSites;
use crate::cache::{Cache, Sequence};
use crate::config::Config;
use crate::decoder::Decoder;
use crate::families::family::Family;
use crate::families::{self};
use crate::files::ModelFiles;
use crate::gguf_config;
use crate::load::{Loader, WeightSizes};
use crate::logits::Logits;
use crate::spec::ModelSpec;
use crate::split::share_of;
use crate::weights::Weights;

/// Rows of a prefill step: enough to fill the kernels, few enough to stay in the caches.
pub const PREFILL_ROWS: usize = 512;

/// How a model is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// How exactly products are computed.
    pub precision: Precision,
    /// How keys and values are stored; none: f32 in exact runs, else bf16.
    pub kv_dtype: Option<KvDtype>,
    /// Longest sequence in tokens; none: what the model was made for.
    pub context_tokens: Option<usize>,
    /// How many of the first layers a GPU computes, the CPU doing the others; none: as many as it has room for.
    pub gpu_layers: Option<usize>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { precision: Precision::Fast, kv_dtype: None, context_tokens: None, gpu_layers: None }
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
    /// Shapes of the last steps that no plan was made for.
    seen: Vec<PlanKey>,
    reader: Reader,
    sizes: WeightSizes,
    /// Weights that are packed when they are used.
    rest: Vec<Rest>,
    adapters: Arc<AdapterSites>,
    options: LoadOptions,
    /// Where it was loaded to.
    gpu: Option<Arc<Gpu>>,
    gpu_layers: usize,
}

/// Rows, wanted rows, and whether these go through the head.
type PlanKey = (usize, usize, bool);

/// Steps of up to this many rows are traced once and replayed.
const PLAN_ROWS: usize = 32;

/// On a GPU larger steps are traced as well, when one of the same shape comes again: pieces of prompts seldom do, answers
/// of many sequences always.
const GPU_PLAN_ROWS: usize = 128;

/// Traced steps that are kept, each with its intermediate memory, and how much of that there may be altogether.
const PLANS: usize = 12;
const PLAN_BYTES: usize = 1 << 30;

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
                hint: "; use bf16, f16 or f32, or compute on the CPU (--device cpu)".into(),
            });
        }
        let options = LoadOptions { kv_dtype: Some(kv_dtype), ..options.clone() };
        let gpu_layers =
            options.gpu_layers.unwrap_or_else(|| layers_that_fit(checkpoint, kv_dtype)).min(spec.layers.len());
        let cards = olivine_array::gpu().map_or(1, |gpu| gpu.cards());
        if cards > 1 && gpu_layers < spec.layers.len() {
            return Err(ModelError::Unsupported {
                file: spec.family.into(),
                feature: format!(
                    "{gpu_layers} of {} layers on {cards} devices, the others on the CPU",
                    spec.layers.len()
                ),
                hint: ": the model is too large for them, or --gpu-layers says so; use more devices, or one".into(),
            });
        }
        let cache = Cache::new(&share_of(&spec, cards)?, kv_dtype, gpu_layers);
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
            rest: Default::default(),
            sites: Default::default(),
            staging: Default::default(),
            gpu: Default::default(),
            cards,
        };
        let decoder = Decoder::load(&mut loader, gpu_layers)?;
        let sizes = loader.sizes.get();
        let (sites, rest) = (loader.sites.take(), loader.rest.take());
        let adapters = match cards {
            1 => AdapterSites::new(sites, checkpoint.family, options.precision),
            _ => AdapterSites::of_cards(cards),
        };
        let adapters = Arc::new(adapters);
        cache.reserve();
        let ropes = loader.ropes.into_iter().map(|(_, frequencies)| frequencies).collect();
        let context_tokens = options.context_tokens.unwrap_or(spec.context_tokens);
        Ok(Model {
            spec,
            decoder,
            cache,
            step,
            ropes,
            context_tokens,
            plans: Vec::new(),
            seen: Vec::new(),
            reader: Reader::default(),
            sizes,
            rest,
            adapters,
            options,
            gpu: olivine_array::gpu(),
            gpu_layers,
        })
    }

    /// Pack a matrix that is not yet, which its second use would do: for times when nobody waits. False: there is none left.
    pub fn pack_one(&mut self) -> bool {
        let one = self.rest.pop();
        one.inspect(|one| one.pack(&olivine_array::pool())).is_some()
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

    /// How many of its layers a GPU computes; none when there was no GPU.
    pub fn gpu_layers(&self) -> Option<usize> {
        self.gpu.as_ref().map(|_| self.gpu_layers)
    }

    /// Whether the device that it was loaded to is gone: it must be loaded again.
    pub fn is_lost(&self) -> bool {
        let is_current = |own: &Arc<Gpu>| olivine_array::gpu().is_some_and(|gpu| Arc::ptr_eq(own, &gpu));
        self.gpu.as_ref().is_some_and(|own| !is_current(own) || own.is_lost())
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
        self.logits(work).all()
    }

    /// As [`Model::step`], where the model ran: to choose tokens from. They must be gone before the next step, or it takes
    /// other memory.
    pub fn logits(&mut self, work: &mut [Work<'_>]) -> Logits {
        let (rows, count) = self.run(work, true);
        Logits::new(rows, count, self.spec.vocabulary, self.reader.clone())
    }

    /// Run one step over all work at once; the wanted rows' hidden states behind the last norm, `[rows, hidden]`, in the
    /// order of the work.
    pub fn hidden(&mut self, work: &mut [Work<'_>]) -> Vec<f32> {
        let (rows, count) = self.run(work, false);
        let rows = rows.to_vec();
        if count == 0 { Vec::new() } else { rows }
    }

    /// The rows, and how many are wanted: where that is none, there is one all the same.
    fn run(&mut self, work: &mut [Work<'_>], head: bool) -> (Array, usize) {
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
        (self.forward(&tokens, &wanted, head && !outputs.is_empty()), outputs.len())
    }

    fn forward(&mut self, tokens: &Array, wanted: &Array, head: bool) -> Array {
        let decoder = &self.decoder;
        let through = |tokens: &Array, wanted: &Array, early: bool| match head {
            true => decoder.forward(tokens, wanted, early),
            false => decoder.hidden(tokens, wanted, early).array(),
        };
        let key = (tokens.size(), wanted.size(), head);
        let known = self.plans.iter().position(|(of, _)| *of == key);
        if known.is_none() && !is_worth_a_plan(&mut self.seen, key) {
            let is_adapted = self.step.read().spans.iter().any(|span| span.adapter.is_some());
            let early = wanted.size() < tokens.size() && !is_adapted && olivine_array::gpu().is_none();
            return through(tokens, wanted, early);
        }
        let mut entry = match known {
            Some(index) => self.plans.remove(index),
            None => (key, Plan::trace(&[tokens, wanted], |inputs| vec![through(&inputs[0], &inputs[1], false)])),
        };
        let logits = entry.1.run(&[tokens, wanted]).remove(0);
        // The most recently used plan is the last.
        self.plans.push(entry);
        let bytes = |plans: &[(PlanKey, Plan)]| plans.iter().map(|(_, plan)| plan.workspace_bytes()).sum::<usize>();
        while self.plans.len() > PLANS || self.plans.len() > 1 && bytes(&self.plans) > PLAN_BYTES {
            self.plans.remove(0);
        }
        logits
    }
}

/// Tokens of context that a GPU must have room for beside the weights.
const LEAST_TOKENS: usize = 4096;

/// How many of the first layers the GPU has room for, a cache and what lies between the layers included. All where it does
/// not say.
fn layers_that_fit(checkpoint: &Checkpoint, kv_dtype: KvDtype) -> usize {
    let (layers, Some(room)) = (checkpoint.spec.layers.len(), olivine_array::gpu::room_bytes()) else {
        return usize::MAX;
    };
    let weights: usize = checkpoint.weights.listing().iter().map(|(.., bytes)| bytes).sum();
    let each = weights + checkpoint.spec.cache_bytes(LEAST_TOKENS.min(checkpoint.spec.context_tokens), kv_dtype);
    let room = room.saturating_sub(checkpoint.spec.activation_bytes(PREFILL_ROWS));
    if each <= room { layers } else { (layers as f64 * room as f64 / each as f64) as usize }
}

/// Whether steps of this shape are worth tracing; `seen` remembers those that were not yet.
fn is_worth_a_plan(seen: &mut Vec<PlanKey>, key: PlanKey) -> bool {
    let most = if olivine_array::gpu().is_some() { GPU_PLAN_ROWS } else { PLAN_ROWS };
    if key.0 > most {
        return false;
    }
    if key.0 <= PLAN_ROWS {
        return true;
    }
    let known = seen.iter().position(|of| *of == key);
    if known.is_none() {
        seen.push(key);
        if seen.len() > PLANS {
            seen.remove(0);
        }
    }
    known.is_some()
}
