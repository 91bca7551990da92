//! Low-rank adapters from folders as PEFT and mlx-lm write them, fitted to the linear layers of a loaded model.
//!
//! Each linear layer of a model is a site: modules of the checkpoint whose outputs lie side by side, perhaps in another
//! order. An adapter names modules as the hub does, whatever file the model came from. Invariant: every tensor of an
//! adapter has its place in the model, or the adapter is refused and the tensor named. Read next: `load.rs`, and
//! `fast::lora` of the array crate for the arithmetic.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use olivine_array::fast::adapter::{Adapter, Factors, Storage};
use olivine_array::fast::linear::Precision;
use olivine_formats::TensorView;
use olivine_formats::safetensors::Safetensors;
use serde_json::{Map, Value};

use crate::ModelError;
use crate::digest;
use crate::families::family::Family;
use crate::families::names::COMMON_NAMES;
use crate::weights::widen;

/// A linear layer that can be adapted.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Inputs.
    pub columns: usize,
    /// The modules of the checkpoint that it consists of.
    pub modules: Vec<SiteModule>,
}

/// A module of the checkpoint inside a linear layer.
#[derive(Clone, Debug)]
pub struct SiteModule {
    /// Its canonical name.
    pub canonical: String,
    /// Its layer.
    pub layer: usize,
    /// Its outputs.
    pub rows: usize,
    /// Where they are: the first output of the layer, and which rows of the module follow one another from there on.
    /// Empty: in an order that is not known.
    pub places: Vec<(usize, Vec<usize>)>,
}

impl SiteModule {
    /// All rows in their order from `first` on.
    pub fn in_order(canonical: &str, layer: usize, rows: usize, first: usize) -> SiteModule {
        SiteModule { canonical: canonical.into(), layer, rows, places: vec![(first, (0..rows).collect())] }
    }

    /// The halves of each head of `dim` rows become neighbours, as the converter of GGUF files does with heads that are
    /// rotated.
    pub fn pair_halves(&mut self, dim: usize) {
        let row = |row: usize| row / dim * dim + row % 2 * (dim / 2) + row % dim / 2;
        self.places.iter_mut().flat_map(|(_, rows)| rows).for_each(|of| *of = row(*of));
    }
}

/// The linear layers of a model, to fit adapters to.
#[derive(Debug, Default)]
pub struct AdapterSites {
    sites: Vec<Site>,
    /// Site and module of it by the hub's name, from `layers.` on.
    names: HashMap<String, (usize, usize)>,
    storage: Option<Storage>,
    /// How many cards the layers are split among, where that is more than one.
    cards: Option<usize>,
}

/// An adapter in memory.
#[derive(Clone, Debug)]
pub struct LoadedAdapter {
    /// What sequences carry.
    pub adapter: Arc<Adapter>,
    /// Of its files.
    pub digest: String,
    /// Modules that it corrects.
    pub modules: usize,
}

/// The tensors of one module: `down` is `[rank, inputs]`, `up` is `[outputs, rank]`.
#[derive(Default)]
struct Pair {
    down: Option<(TensorView, bool)>,
    up: Option<(TensorView, bool)>,
}

impl AdapterSites {
    /// The sites of a model of this family.
    pub fn new(sites: Vec<Site>, family: &Family, precision: Precision) -> AdapterSites {
        let mut names = HashMap::new();
        for (site, module, of) in sites
            .iter()
            .enumerate()
            .flat_map(|(index, site)| site.modules.iter().enumerate().map(move |(module, of)| (index, module, of)))
        {
            let own = family.names.iter().filter(|(canonical, _)| *canonical == of.canonical);
            let common = COMMON_NAMES.iter().filter(|(canonical, _)| {
                *canonical == of.canonical && !family.names.iter().any(|(overridden, _)| overridden == canonical)
            });
            for (_, pattern) in own.chain(common) {
                names.insert(bare(&pattern.replacen("{}", &of.layer.to_string(), 1)).to_string(), (site, module));
            }
        }
        let storage = if precision == Precision::Exact { Storage::F32 } else { Storage::Bf16 };
        AdapterSites { sites, names, storage: Some(storage), cards: None }
    }

    /// Of a model that is split among cards: no adapter fits it.
    pub fn of_cards(cards: usize) -> AdapterSites {
        AdapterSites { cards: Some(cards), ..AdapterSites::default() }
    }

    /// Bytes that the adapter in a folder takes at most.
    pub fn bytes(&self, folder: &Path) -> Result<usize, ModelError> {
        let (_, weights) = files(folder)?;
        let bytes = weights.metadata().map_err(|source| ModelError::Io { path: weights.clone(), source })?.len();
        // Ranks are padded to whole vectors; bf16 of 16-bit files, f32 of them at worst.
        Ok(4 * bytes as usize)
    }

    /// Read the adapter in a folder: adapter_config.json with adapter_model.safetensors (PEFT) or adapters.safetensors
    /// (mlx-lm).
    pub fn load(&self, folder: &Path) -> Result<LoadedAdapter, ModelError> {
        if let Some(cards) = self.cards {
            return Err(ModelError::Unsupported {
                file: folder.display().to_string(),
                feature: format!("an adapter of a model that is split among {cards} devices"),
                hint: "; use one device".into(),
            });
        }
        let (config_path, weights_path) = files(folder)?;
        let text = std::fs::read_to_string(&config_path)
            .map_err(|source| ModelError::Io { path: config_path.clone(), source })?;
        let file = config_path.display().to_string();
        let config: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| field(&file, "(whole file)", format!("not valid JSON: {error}")))?;
        let is_peft = weights_path.file_name().is_some_and(|name| name == "adapter_model.safetensors");
        let config = if is_peft { Scaling::of_peft(file, &config)? } else { Scaling::of_mlx(file, &config)? };
        let tensors = Safetensors::open(&weights_path)?;
        let weights_file = weights_path.display().to_string();
        let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
        for view in tensors.tensors() {
            let (module, is_down, is_transposed) = module_of(&weights_file, &view.name)?;
            let pair = pairs.entry(module).or_default();
            *(if is_down { &mut pair.down } else { &mut pair.up }) = Some((view.clone(), is_transposed));
        }
        if pairs.is_empty() {
            return Err(tensor(&weights_file, "lora_A", "there is none: this is no adapter".into()));
        }
        let mut sites: Vec<Vec<Factors>> = self.sites.iter().map(|_| Vec::new()).collect();
        let modules = pairs.len();
        for (module, pair) in pairs {
            let (site, factors) = self.fit(&weights_file, &module, &pair, &config)?;
            sites[site].extend(factors);
        }
        let digest = digest::of_model(folder, None)?;
        Ok(LoadedAdapter { adapter: Arc::new(Adapter::new(sites)), digest, modules })
    }

    /// The factors of a module, and the site that they belong to.
    fn fit(
        &self,
        file: &str,
        module: &str,
        pair: &Pair,
        scaling: &Scaling,
    ) -> Result<(usize, Vec<Factors>), ModelError> {
        let (Some(down), Some(up)) = (&pair.down, &pair.up) else {
            return Err(tensor(file, module, "has one of the two factors only".into()));
        };
        let &(index, of) = self.names.get(bare(module)).ok_or_else(|| tensor(file, &down.0.name, unknown(module)))?;
        let (site, of) = (&self.sites[index], &self.sites[index].modules[of]);
        if of.places.is_empty() {
            let problem = "the model's GGUF file has this module in another order; use the safetensors of the model";
            return Err(tensor(file, &down.0.name, problem.into()));
        }
        let rank = if down.1 { down.0.shape.last() } else { down.0.shape.first() }.copied().unwrap_or(0);
        for ((view, transposed), mut expected) in [(down, [rank, site.columns]), (up, [of.rows, rank])] {
            if *transposed {
                expected.reverse();
            }
            if view.shape != expected || rank == 0 {
                let problem = format!("has the shape {:?}; {expected:?} fits this model", view.shape);
                return Err(tensor(file, &view.name, problem));
            }
        }
        let scale = scaling.of(module, rank)?;
        let (down, up) = (floats(file, down)?, floats(file, up)?);
        let storage = self.storage.unwrap_or(Storage::F32);
        let factor = |(first, rows): &(usize, Vec<usize>)| {
            let up: Vec<f32> = rows.iter().flat_map(|row| &up[row * rank..(row + 1) * rank]).copied().collect();
            Factors::new(site.columns, *first, scale, &down, &up, storage)
        };
        Ok((index, of.places.iter().map(factor).collect()))
    }
}

/// Configuration and weights of an adapter's folder.
fn files(folder: &Path) -> Result<(PathBuf, PathBuf), ModelError> {
    if !folder.is_dir() {
        return Err(ModelError::Missing {
            path: folder.into(),
            what: "the adapter's folder".into(),
            fix: "give a folder with adapter_config.json and adapter_model.safetensors or adapters.safetensors".into(),
        });
    }
    let missing =
        |what: &str, fix: &str| ModelError::Missing { path: folder.into(), what: what.into(), fix: fix.into() };
    let config = folder.join("adapter_config.json");
    if !config.is_file() {
        return Err(missing("adapter_config.json", "an adapter needs it beside its weights"));
    }
    let weights = ["adapter_model.safetensors", "adapters.safetensors"].map(|name| folder.join(name));
    match weights.into_iter().find(|path| path.is_file()) {
        Some(weights) => Ok((config, weights)),
        None if folder.join("adapter_model.bin").is_file() => Err(missing(
            "adapter_model.safetensors",
            "adapter_model.bin is a Python pickle, which can run any code; save the adapter as safetensors",
        )),
        None => {
            Err(missing("adapter_model.safetensors (PEFT) or adapters.safetensors (mlx-lm)", "save the adapter again"))
        }
    }
}

/// Module of a tensor, whether it is the factor on the inputs, and whether it is stored inputs first.
fn module_of(file: &str, name: &str) -> Result<(String, bool, bool), ModelError> {
    for (end, is_down) in [(".lora_a", true), (".lora_b", false)] {
        if let Some(module) = name.strip_suffix(end) {
            return Ok((module.into(), is_down, true));
        }
    }
    let stem = name.strip_suffix(".weight").unwrap_or(name);
    for (part, is_down) in [(".lora_A", true), (".lora_B", false)] {
        // Some files have the adapter's name behind the part.
        if let Some((module, rest)) = stem.split_once(part)
            && (rest.is_empty() || rest.starts_with('.') && !rest[1..].contains('.'))
        {
            return Ok((module.into(), is_down, false));
        }
    }
    let problem = match name {
        _ if name.contains("lora_magnitude") || name.ends_with(".m") => "belongs to DoRA, which is not supported",
        _ if name.contains("lora_embedding") => "corrects the embedding, which is not supported",
        _ if name.contains("modules_to_save") => "is a whole module, which is not supported; merge the adapter",
        _ if name.ends_with("bias") => "is a bias, which is not supported",
        _ => "is no factor of a low-rank adapter (lora_A, lora_B)",
    };
    Err(tensor(file, name, problem.into()))
}

/// Why a module has no place.
fn unknown(module: &str) -> String {
    let bare = bare(module);
    let expert = [".experts", "switch_mlp", "block_sparse_moe"].iter().any(|part| bare.contains(part));
    match bare {
        _ if expert => {
            "corrects experts of a mixture, which is not supported; adapt attention only, or merge it".into()
        }
        _ if bare.contains("kv_b_proj") => {
            "is folded into attention, so it cannot be corrected; merge the adapter".into()
        }
        "lm_head" | "embed_tokens" => format!("corrects {bare}, which is not supported; merge the adapter"),
        _ => format!("this model has no linear layer `{bare}`: the adapter was made for another one"),
    }
}

/// A module's name without what stands before it in one file or another.
fn bare(module: &str) -> &str {
    let mut name = module.strip_prefix("base_model.model.").unwrap_or(module);
    for prefix in ["model.language_model.", "language_model.model.", "language_model.", "model."] {
        if let Some(rest) = name.strip_prefix(prefix) {
            name = rest;
            break;
        }
    }
    name
}

/// A factor in the order that [`Pair`] names.
fn floats(file: &str, (view, is_transposed): &(TensorView, bool)) -> Result<Vec<f32>, ModelError> {
    let values = widen(view);
    let [rows, columns] = view.shape[..] else { return Err(tensor(file, &view.name, "is no matrix".into())) };
    if values.len() != rows * columns {
        return Err(tensor(file, &view.name, format!("is {}; f32, f16 and bf16 are supported", view.dtype)));
    }
    if !is_transposed {
        return Ok(values);
    }
    Ok((0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect())
}

/// How much of the product of the factors is added.
#[derive(Debug)]
enum Scaling {
    /// `alpha / rank`, or over its root; `alpha` may differ for some modules.
    Alpha { file: String, alpha: f64, by_root: bool, rank: f64, ranks: Vec<(String, f64)>, alphas: Vec<(String, f64)> },
    /// The same for all.
    Fixed(f64),
}

impl Scaling {
    fn of_peft(file: String, config: &Map<String, Value>) -> Result<Scaling, ModelError> {
        let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or("LORA");
        let unsupported = |feature: String| Err(unsupported(&file, feature));
        if !kind.eq_ignore_ascii_case("lora") {
            return unsupported(format!("an adapter of the type {kind}"));
        }
        for (key, feature) in [
            ("use_dora", "DoRA"),
            ("lora_bias", "a bias beside the factors (lora_bias)"),
            ("fan_in_fan_out", "an adapter of transposed layers (fan_in_fan_out)"),
            ("use_qalora", "QALoRA"),
        ] {
            if config.get(key).and_then(Value::as_bool) == Some(true) {
                return unsupported(feature.into());
            }
        }
        if let Some(bias) = config.get("bias").and_then(Value::as_str).filter(|bias| *bias != "none") {
            return unsupported(format!("an adapter with trained biases (bias: {bias})"));
        }
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        let keys = [
            "modules_to_save",
            "layer_replication",
            "trainable_token_indices",
            "target_parameters",
            "alora_invocation_tokens",
            "arrow_config",
        ];
        if let Some(key) = keys.into_iter().find(|key| config.get(*key).is_some_and(|value| !is_empty(value))) {
            return unsupported(format!("an adapter with `{key}`"));
        }
        // These change the weights of the model as well.
        let start = config.get("init_lora_weights").and_then(Value::as_str).unwrap_or("").to_ascii_lowercase();
        if ["pissa", "olora", "corda", "loftq"].iter().any(|method| start.starts_with(method)) {
            return unsupported(format!("an adapter that began as {start} (save it converted to plain LoRA)"));
        }
        let number = |key: &str| match config.get(key).and_then(Value::as_f64) {
            Some(number) if number > 0.0 => Ok(number),
            _ => Err(field(&file, key, "a number above 0 is wanted".into())),
        };
        let (rank, alpha) = (number("r")?, number("lora_alpha")?);
        let by_root = config.get("use_rslora").and_then(Value::as_bool) == Some(true);
        let (ranks, alphas) = (pattern(&file, config, "rank_pattern")?, pattern(&file, config, "alpha_pattern")?);
        Ok(Scaling::Alpha { file, alpha, by_root, rank, ranks, alphas })
    }

    fn of_mlx(file: String, config: &Map<String, Value>) -> Result<Scaling, ModelError> {
        let kind = config.get("fine_tune_type").and_then(Value::as_str).unwrap_or("lora");
        if kind != "lora" || config.get("use_dora").and_then(Value::as_bool) == Some(true) {
            let kind = if kind == "lora" { "dora" } else { kind };
            return Err(unsupported(&file, format!("an adapter of the type {kind}")));
        }
        let parameters = config.get("lora_parameters").and_then(Value::as_object);
        let parameters = parameters.ok_or_else(|| field(&file, "lora_parameters", "is missing".into()))?;
        let number = |key: &str| match parameters.get(key).map(Value::as_f64) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(field(&file, &format!("lora_parameters.{key}"), "is no number".into())),
        };
        let scale = number("scale")?.ok_or_else(|| field(&file, "lora_parameters.scale", "is missing".into()))?;
        Ok(Scaling::Fixed(match (number("alpha")?, number("rank")?) {
            (Some(alpha), Some(rank)) if rank > 0.0 => scale * alpha / rank,
            _ => scale,
        }))
    }

    fn of(&self, module: &str, rank: usize) -> Result<f32, ModelError> {
        match self {
            Scaling::Fixed(scale) => Ok(*scale as f32),
            Scaling::Alpha { file, alpha, by_root, rank: usual, ranks, alphas } => {
                let listed = |patterns: &[(String, f64)]| {
                    let end = |pattern: &str| module == pattern || module.ends_with(&format!(".{pattern}"));
                    patterns.iter().find(|(pattern, _)| end(pattern)).map(|(_, number)| *number)
                };
                let expected = listed(ranks).unwrap_or(*usual);
                if expected != rank as f64 {
                    let problem = format!("says {expected} for {module}, whose factors have the rank {rank}");
                    return Err(field(file, "r", problem));
                }
                let over = if *by_root { (rank as f64).sqrt() } else { rank as f64 };
                Ok((listed(alphas).unwrap_or(*alpha) / over) as f32)
            }
        }
    }
}

/// Numbers for modules whose names end so.
fn pattern(file: &str, config: &Map<String, Value>, key: &str) -> Result<Vec<(String, f64)>, ModelError> {
    let Some(Value::Object(map)) = config.get(key) else { return Ok(Vec::new()) };
    let entry = |(name, value): (&String, &Value)| {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        match value.as_f64().filter(|number| *number > 0.0) {
            Some(number) if plain => Ok((name.clone(), number)),
            Some(_) => Err(unsupported(file, format!("the regular expression `{name}` in `{key}`"))),
            None => Err(field(file, key, format!("{name}: a number above 0 is wanted"))),
        }
    };
    map.iter().map(entry).collect()
}

fn field(file: &str, field: &str, problem: String) -> ModelError {
    ModelError::Field { file: file.into(), field: field.into(), problem }
}

fn tensor(file: &str, tensor: &str, problem: String) -> ModelError {
    ModelError::Tensor { file: file.into(), tensor: tensor.into(), problem }
}

fn unsupported(file: &str, feature: String) -> ModelError {
    let hint = "; merge the adapter into its model and serve that".into();
    ModelError::Unsupported { file: file.into(), feature, hint }
}
