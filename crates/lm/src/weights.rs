//! Tensors of a checkpoint under canonical names, whatever the file calls them and however they are stored.
//!
//! One view over safetensors folders (plain, MLX-quantized, gpt-oss blocks, NVFP4) and GGUF files. Nothing is copied
//! here; [`crate::load`] turns tensors into layers. Names are those of `families::COMMON_NAMES`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use olivine_formats::gguf::Gguf;
use olivine_formats::safetensors::Safetensors;
use olivine_formats::{Bytes, TensorType, TensorView};
use olivine_kernels::pool::Pool;
use olivine_kernels::quant::{Format, ScaleType, Stored};
use serde_json::Value;

use crate::ModelError;
use crate::config::Config;
use crate::families::family::Family;
use crate::families::names::{COMMON_NAMES, GGUF_NAMES};

/// Fewest bytes copied that are worth a thread.
const THREAD_BYTES: usize = 1 << 20;

/// A checkpoint and how its tensors are named.
pub struct Weights {
    file: PathBuf,
    source: Source,
    names: HashMap<&'static str, Vec<&'static str>>,
    prefixes: Vec<&'static str>,
    quantization: Quantization,
    folded_norms: bool,
}

enum Source {
    Safetensors(Safetensors),
    Gguf(Gguf),
}

/// Format, logical shape, names of scales and biases.
pub type QuantizedForm = (&'static str, Vec<usize>, Vec<String>);

/// How config.json says that weights are quantized.
#[derive(Clone, Debug, Default)]
struct Quantization {
    default: Option<Format>,
    modules: HashMap<String, Option<Format>>,
}

/// One tensor: its logical shape and its storage.
#[derive(Clone, Debug)]
pub struct WeightTensor {
    /// Name in the file, for messages.
    pub name: String,
    /// Logical dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The elements.
    pub storage: Storage,
}

/// How elements are stored.
#[derive(Clone, Debug)]
pub enum Storage {
    /// Plain floating-point elements.
    Dense {
        /// Their type.
        dtype: TensorType,
        /// Row-major.
        data: Bytes,
    },
    /// Quantized rows.
    Quantized {
        /// Format of the values.
        format: Format,
        /// Values or blocks.
        data: Bytes,
        /// Scales, where they lie apart.
        scales: Option<Bytes>,
        /// Biases, where there are any.
        biases: Option<Bytes>,
        /// Type of scales and biases.
        scale_type: ScaleType,
        /// Factor of the whole tensor.
        global_scale: Option<f32>,
    },
}

impl Weights {
    /// The weights of a Hugging Face or MLX folder, or of one safetensors file.
    pub fn from_safetensors(path: &Path, config: &Config, family: &Family) -> Result<Weights, ModelError> {
        Weights::of_tensors(path, Safetensors::open(path)?, config, family)
    }

    /// The same from opened tensors; `path` is for messages.
    pub fn of_tensors(
        path: &Path,
        tensors: Safetensors,
        config: &Config,
        family: &Family,
    ) -> Result<Weights, ModelError> {
        let mut names: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
        for (canonical, name) in family.names {
            names.entry(canonical).or_default().push(name);
        }
        for (canonical, name) in COMMON_NAMES {
            if !family.names.iter().any(|(overridden, _)| overridden == canonical) {
                names.entry(canonical).or_default().push(name);
            }
        }
        // A writer that puts the convolution's channels last adds the offset to the norms as well.
        let convolution = names.get("delta.conv").and_then(|names| names[0].rsplit_once("{}")).map(|(_, end)| end);
        let is_channels_last = |tensor: &TensorView| matches!(tensor.shape[..], [_, taps, 1] if taps != 1);
        let is_convolution = |name: &str| {
            let module = name.strip_suffix(".weight").unwrap_or(name);
            convolution.is_some_and(|end| module.ends_with(end))
        };
        let folded_norms = tensors.tensors().any(|t| is_convolution(&t.name) && is_channels_last(t));
        Ok(Weights {
            file: path.into(),
            source: Source::Safetensors(tensors),
            folded_norms,
            names,
            prefixes: vec!["", "language_model.", "model.language_model."],
            quantization: Quantization::read(config)?,
        })
    }

    /// The weights of an encoder's folder, by its family's names alone.
    pub fn of_encoder(
        path: &Path,
        config: &Config,
        encoder_names: &[(&'static str, &'static str)],
    ) -> Result<Weights, ModelError> {
        let mut names: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
        for (canonical, name) in encoder_names {
            names.entry(canonical).or_default().push(name);
        }
        Ok(Weights {
            file: path.into(),
            source: Source::Safetensors(Safetensors::open(path)?),
            folded_norms: false,
            names,
            prefixes: vec!["", "bert.", "roberta.", "nomic_bert.", "model."],
            quantization: Quantization::read(config)?,
        })
    }

    /// The weights of a GGUF file.
    pub fn from_gguf(path: &Path, gguf: Gguf) -> Weights {
        let mut names: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
        for (canonical, name) in GGUF_NAMES {
            names.entry(canonical).or_default().push(name);
        }
        let quantization = Quantization::default();
        let (file, source) = (path.into(), Source::Gguf(gguf));
        Weights { file, source, names, prefixes: vec![""], quantization, folded_norms: false }
    }

    /// The file, where the weights come from one GGUF file.
    pub fn gguf(&self) -> Option<&Gguf> {
        match &self.source {
            Source::Gguf(gguf) => Some(gguf),
            Source::Safetensors(_) => None,
        }
    }

    /// An error about a tensor.
    pub fn error(&self, tensor: &str, problem: impl Into<String>) -> ModelError {
        ModelError::Tensor { file: self.file.display().to_string(), tensor: tensor.into(), problem: problem.into() }
    }

    /// Whether this is a GGUF file.
    pub fn is_gguf(&self) -> bool {
        matches!(self.source, Source::Gguf(_))
    }

    /// Whether the norms of the file already have the family's offset.
    pub fn norm_offset_is_folded(&self) -> bool {
        self.folded_norms
    }

    /// The module `canonical` of `layer`, its tensor `part` (`weight`, `bias`), if the checkpoint has it.
    /// With `expert`, the tensor of one expert.
    pub fn find(
        &self,
        canonical: &str,
        layer: Option<usize>,
        expert: Option<usize>,
        part: &str,
    ) -> Result<Option<WeightTensor>, ModelError> {
        for module in self.modules(canonical, layer, expert) {
            if let Some(tensor) = self.tensor(&module, part)? {
                return Ok(Some(tensor));
            }
        }
        Ok(None)
    }

    /// As [`Weights::find`], and an error that names the tensor when there is none.
    pub fn get(&self, canonical: &str, layer: Option<usize>, part: &str) -> Result<WeightTensor, ModelError> {
        let found = self.find(canonical, layer, None, part)?;
        found.ok_or_else(|| {
            let name = self.modules(canonical, layer, None).into_iter().next().unwrap_or_else(|| canonical.into());
            self.error(
                &format!("{name}.{part}"),
                "is missing: the download is not complete, or config.json belongs to other weights",
            )
        })
    }

    /// A tensor as floats, checked against `shape`.
    pub fn floats(
        &self,
        canonical: &str,
        layer: Option<usize>,
        part: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        let tensor = self.get(canonical, layer, part)?;
        self.check(&tensor, shape)?;
        tensor.to_f32().map_err(|problem| self.error(&tensor.name, problem))
    }

    /// As [`Weights::floats`] for a tensor that may be absent.
    pub fn floats_if(
        &self,
        canonical: &str,
        layer: Option<usize>,
        part: &str,
        length: usize,
    ) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(tensor) = self.find(canonical, layer, None, part)? else { return Ok(None) };
        self.check(&tensor, &[length])?;
        tensor.to_f32().map(Some).map_err(|problem| self.error(&tensor.name, problem))
    }

    /// An error unless `tensor` has `shape`. Dimensions of 1 do not count.
    pub fn check(&self, tensor: &WeightTensor, shape: &[usize]) -> Result<(), ModelError> {
        let significant = |dims: &[usize]| dims.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
        if significant(&tensor.shape) == significant(shape) {
            return Ok(());
        }
        let problem =
            format!("has the shape {:?}, config.json asks for {shape:?}: it belongs to other weights", tensor.shape);
        Err(self.error(&tensor.name, problem))
    }

    /// Every tensor: name, type, shape, bytes.
    pub fn listing(&self) -> Vec<(String, String, Vec<usize>, usize)> {
        let describe = |t: &TensorView| (t.name.clone(), t.dtype.to_string(), t.shape.clone(), t.data.len());
        match &self.source {
            Source::Safetensors(file) => file.tensors().map(describe).collect(),
            Source::Gguf(file) => file.tensors().map(describe).collect(),
        }
    }

    /// Canonical names and the patterns of the file's names for them; `{}` is the layer, `{e}` the expert.
    pub fn patterns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.names.iter().flat_map(|(canonical, patterns)| patterns.iter().map(|pattern| (*canonical, *pattern)))
    }

    /// Format, logical shape and the names of scales and biases, if the tensor `name` of `module` is quantized.
    pub fn quantized_form(&self, name: &str, module: &str) -> Option<QuantizedForm> {
        let is_main = [".weight", ".weight_packed", "_blocks", ""].iter().any(|end| name == format!("{module}{end}"));
        // Types that the model does not read (those of another part) have no quantized form.
        let tensor = self.tensor(module, "weight").ok().flatten().filter(|_| is_main)?;
        let Storage::Quantized { format, .. } = tensor.storage else { return None };
        let ends = [".scales", ".biases", ".weight_scale", ".weight_scale_2", ".weight_global_scale", "_scales"];
        let companions = ends.iter().map(|end| format!("{module}{end}")).filter(|name| self.view(name).is_some());
        Some((format.name(), tensor.shape, companions.collect()))
    }

    /// What the file may call the module `canonical`.
    pub fn modules(&self, canonical: &str, layer: Option<usize>, expert: Option<usize>) -> Vec<String> {
        let patterns = self.names.get(canonical).into_iter().flatten();
        let fill = |pattern: &str| {
            let name = match layer {
                Some(layer) => pattern.replacen("{}", &layer.to_string(), 1),
                None => pattern.to_string(),
            };
            match expert {
                Some(expert) => name.replacen("{e}", &expert.to_string(), 1),
                None => name,
            }
        };
        let mut modules = Vec::new();
        for pattern in patterns {
            let name = fill(pattern);
            for prefix in &self.prefixes {
                let inner = if prefix.starts_with("model.") { name.strip_prefix("model.") } else { Some(&name[..]) };
                modules.extend(inner.map(|inner| format!("{prefix}{inner}")));
            }
        }
        modules
    }

    fn view(&self, name: &str) -> Option<TensorView> {
        match &self.source {
            Source::Safetensors(file) => file.get(name),
            Source::Gguf(file) => file.get(name),
        }
    }

    fn tensor(&self, module: &str, part: &str) -> Result<Option<WeightTensor>, ModelError> {
        // Some parts are tensors of their own: `e_score_correction_bias`, `A_log`, fused experts.
        let dotted = format!("{module}.{part}");
        let Some(view) = self.view(&dotted).or_else(|| if part == "weight" { self.view(module) } else { None }) else {
            return self.blocks(module, part);
        };
        if part == "weight"
            && let Some(tensor) = self.quantized(module, &view)?
        {
            return Ok(Some(tensor));
        }
        if part == "weight"
            && view.dtype == TensorType::U8
            && let Some(tensor) = self.nvfp4(module, &view)?
        {
            return Ok(Some(tensor));
        }
        if let Some(format) = view.dtype.gguf_id().and_then(Format::from_gguf_type) {
            let storage = Storage::Quantized {
                format,
                data: view.data.clone(),
                scales: None,
                biases: None,
                scale_type: ScaleType::F32,
                global_scale: None,
            };
            return Ok(Some(WeightTensor { name: view.name, shape: view.shape, storage }));
        }
        match view.dtype {
            TensorType::F32 | TensorType::F16 | TensorType::Bf16 => {}
            other => return Err(self.error(&view.name, format!("weights of type {other} are not supported"))),
        }
        let storage = Storage::Dense { dtype: view.dtype, data: view.data };
        Ok(Some(WeightTensor { name: view.name, shape: view.shape, storage }))
    }

    /// `weight` (packed words) with `scales` and perhaps `biases` beside it: MLX's layout.
    fn quantized(&self, module: &str, view: &TensorView) -> Result<Option<WeightTensor>, ModelError> {
        let Some(scales) = self.view(&format!("{module}.scales")) else { return Ok(None) };
        let bare = module.strip_prefix("language_model.").unwrap_or(module);
        let listed = self.quantization.modules.get(module).or_else(|| self.quantization.modules.get(bare));
        let format = listed.copied().flatten().or(self.quantization.default);
        let format = format.ok_or_else(|| {
            self.error(&view.name, "has scales beside it, but config.json has no `quantization` that says their format")
        })?;
        let biases = self.view(&format!("{module}.biases")).map(|view| view.data);
        let scale_type = match scales.dtype {
            TensorType::F32 => ScaleType::F32,
            TensorType::F16 => ScaleType::F16,
            TensorType::Bf16 | TensorType::U8 => ScaleType::Bf16,
            other => return Err(self.error(&scales.name, format!("scales of type {other} are not supported"))),
        };
        if matches!(format, Format::Affine { .. }) != biases.is_some() {
            return Err(self.error(&view.name, format!("{} does not fit the biases beside it", format.name())));
        }
        let mut shape = view.shape.clone();
        let columns = shape.last_mut().ok_or_else(|| self.error(&view.name, "is a scalar"))?;
        *columns = scales.shape.last().copied().unwrap_or(0) * format.block_columns();
        let storage = Storage::Quantized {
            format,
            data: view.data.clone(),
            scales: Some(scales.data),
            biases,
            scale_type,
            global_scale: None,
        };
        Ok(Some(WeightTensor { name: view.name.clone(), shape, storage }))
    }

    /// Pairs of e2m1 in bytes with a `weight_scale` in e4m3 for each 16, and a scale of the whole tensor: a factor
    /// (`weight_scale_2`, ModelOpt) or a divisor (`weight_global_scale`, compressed-tensors).
    fn nvfp4(&self, module: &str, view: &TensorView) -> Result<Option<WeightTensor>, ModelError> {
        let Some(scales) = self.view(&format!("{module}.weight_scale")) else { return Ok(None) };
        if scales.dtype != TensorType::F8E4M3 {
            return Err(self.error(&scales.name, format!("is {}; NVFP4 has scales of f8_e4m3", scales.dtype)));
        }
        let one = |name: &str| {
            let view = self.view(&format!("{module}.{name}"))?;
            widen(&view).first().copied()
        };
        let divisor = one("weight_global_scale").map(|divisor| 1.0 / divisor);
        let global_scale = one("weight_scale_2").or(divisor);
        if global_scale.is_some_and(|scale| !scale.is_finite()) {
            return Err(self.error(&view.name, "has a scale of the whole tensor that is not a finite number"));
        }
        let mut shape = view.shape.clone();
        let columns = shape.last_mut().ok_or_else(|| self.error(&view.name, "is a scalar"))?;
        *columns *= 2;
        let storage = Storage::Quantized {
            format: Format::Nvfp4,
            data: view.data.clone(),
            scales: Some(scales.data),
            biases: None,
            scale_type: ScaleType::F32,
            global_scale,
        };
        Ok(Some(WeightTensor { name: view.name.clone(), shape, storage }))
    }

    /// gpt-oss: `<module>_blocks` `[experts, rows, groups, 16]` of nibbles and `<module>_scales`; `<module>_bias`.
    fn blocks(&self, module: &str, part: &str) -> Result<Option<WeightTensor>, ModelError> {
        if part != "weight" {
            return match self.view(&format!("{module}_{part}")) {
                Some(v) => Ok(Some(WeightTensor {
                    name: v.name,
                    shape: v.shape,
                    storage: Storage::Dense { dtype: v.dtype, data: v.data },
                })),
                None => Ok(None),
            };
        }
        if let Some(packed) = self.view(&format!("{module}.weight_packed")) {
            return self.nvfp4(module, &packed);
        }
        let Some(blocks) = self.view(&format!("{module}_blocks")) else { return Ok(None) };
        let scales_name = format!("{module}_scales");
        let scales = self.view(&scales_name).ok_or_else(|| self.error(&scales_name, "is missing beside the blocks"))?;
        let [experts, rows, groups, 16] = blocks.shape[..] else {
            return Err(
                self.error(&blocks.name, format!("has the shape {:?}, not [experts, rows, groups, 16]", blocks.shape))
            );
        };
        let storage = Storage::Quantized {
            format: Format::Mxfp4,
            data: blocks.data,
            scales: Some(scales.data),
            biases: None,
            scale_type: ScaleType::F32,
            global_scale: None,
        };
        Ok(Some(WeightTensor { name: blocks.name, shape: vec![experts, rows, groups * 32], storage }))
    }
}

impl Quantization {
    fn read(config: &Config) -> Result<Quantization, ModelError> {
        let Some(value) = config.get("quantization").or_else(|| config.get("quantization_config")) else {
            return Ok(Quantization::default());
        };
        let map = value.as_object().ok_or_else(|| config.error("quantization", "is not an object"))?;
        if let Some(method) = map.get("quant_method").and_then(Value::as_str) {
            // The blocks of these are known by their tensors' names.
            let word = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or("");
            let named_by_tensors = match method {
                "mxfp4" => true,
                "modelopt" => word("quant_algo") == "NVFP4",
                "compressed-tensors" => word("format") == "nvfp4-pack-quantized",
                _ => false,
            };
            if named_by_tensors {
                return Ok(Quantization::default());
            }
            return Err(ModelError::Unsupported {
                file: config.file().into(),
                feature: format!("quantization method `{method}`"),
                hint: "; supported are MLX's affine, mxfp4, mxfp8 and nvfp4, gpt-oss's mxfp4, NVFP4 of ModelOpt and \
                       compressed-tensors, and GGUF files"
                    .into(),
            });
        }
        let default = Some(format_of(config, "quantization", value)?);
        let mut modules = HashMap::new();
        for (name, value) in map {
            match value {
                Value::Object(_) => modules.insert(name.clone(), Some(format_of(config, name, value)?)),
                Value::Bool(false) => modules.insert(name.clone(), None),
                _ => None,
            };
        }
        Ok(Quantization { default, modules })
    }
}

/// `{"bits": 4, "group_size": 64, "mode": "affine"}` as a [`Format`].
fn format_of(config: &Config, field: &str, value: &Value) -> Result<Format, ModelError> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let mode = value.get("mode").and_then(Value::as_str).unwrap_or("affine");
    match mode {
        "affine" => {
            let (bits, group) = (number("bits").unwrap_or(4), number("group_size").unwrap_or(64));
            let known = matches!(bits, 2 | 3 | 4 | 5 | 6 | 8) && matches!(group, 32 | 64 | 128);
            known.then_some(Format::Affine { bits: bits as u8, group: group as u8 }).ok_or_else(|| {
                config.error(field, format!("affine with {bits} bits and groups of {group} is not known"))
            })
        }
        other => Format::parse(other).ok_or_else(|| config.error(field, format!("mode `{other}` is not known"))),
    }
}

impl Storage {
    /// The same with all bytes changed alike.
    fn map(&self, part: impl Fn(&Bytes) -> Bytes) -> Storage {
        match self {
            Storage::Dense { dtype, data } => Storage::Dense { dtype: *dtype, data: part(data) },
            Storage::Quantized { format, data, scales, biases, scale_type, global_scale } => Storage::Quantized {
                format: *format,
                data: part(data),
                scales: scales.as_ref().map(&part),
                biases: biases.as_ref().map(&part),
                scale_type: *scale_type,
                global_scale: *global_scale,
            },
        }
    }
}

impl WeightTensor {
    /// Rows of the tensor seen as a matrix: all but the last dimension.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len().saturating_sub(1)].iter().product()
    }

    /// Last dimension.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// `count` rows from `first` on, as a matrix.
    pub fn slice_rows(&self, first: usize, count: usize) -> WeightTensor {
        let rows = self.rows().max(1);
        let part = |bytes: &Bytes| {
            let row_bytes = bytes.len() / rows;
            bytes.slice(first * row_bytes..(first + count) * row_bytes)
        };
        WeightTensor { name: self.name.clone(), shape: vec![count, self.columns()], storage: self.storage.map(part) }
    }

    /// These columns of the matrix, one range behind the other, in new memory.
    pub fn pick_columns(&self, ranges: &[Range<usize>]) -> Result<WeightTensor, String> {
        let (rows, columns) = (self.rows(), self.columns());
        if let Storage::Quantized { format, .. } = &self.storage
            && let block = format.block_columns()
            && ranges.iter().any(|range| !range.start.is_multiple_of(block) || !range.end.is_multiple_of(block))
        {
            return Err(format!("columns {ranges:?} are no whole blocks of {block} ({})", format.name()));
        }
        let part = |bytes: &Bytes| Bytes::from_vec(&self.name, picked(bytes.as_slice(), rows, columns.max(1), ranges));
        let shape = vec![rows, ranges.iter().map(Range::len).sum()];
        Ok(WeightTensor { name: self.name.clone(), shape, storage: self.storage.map(part) })
    }

    /// A dense `[experts, a, b]` as `[experts, b, a]`, in new memory.
    pub fn transposed(&self) -> Result<WeightTensor, String> {
        let (Storage::Dense { dtype, data }, &[experts, a, b]) = (&self.storage, &self.shape[..]) else {
            return Err(format!("{:?} cannot be transposed", self.shape));
        };
        let size = dense_type(*dtype).ok_or_else(|| format!("type {dtype} is not supported"))?.size();
        let source = data.as_slice();
        if source.len() != experts * a * b * size {
            return Err(format!("{} bytes for the shape {:?}", source.len(), self.shape));
        }
        let mut out = vec![0; source.len()];
        for expert in 0..experts {
            for i in 0..a {
                for j in 0..b {
                    let (from, to) = ((expert * a + i) * b + j, (expert * b + j) * a + i);
                    out[to * size..(to + 1) * size].copy_from_slice(&source[from * size..(from + 1) * size]);
                }
            }
        }
        let storage = Storage::Dense { dtype: *dtype, data: Bytes::from_vec(&self.name, out) };
        Ok(WeightTensor { name: self.name.clone(), shape: vec![experts, b, a], storage })
    }

    /// The quantized view for the kernels, if the tensor is quantized.
    pub fn stored(&self) -> Option<Stored<'_>> {
        let Storage::Quantized { format, data, scales, biases, scale_type, global_scale } = &self.storage else {
            return None;
        };
        Some(Stored {
            format: *format,
            rows: self.rows(),
            columns: self.columns(),
            data: data.as_slice(),
            scales: scales.as_ref().map_or(&[], Bytes::as_slice),
            biases: biases.as_ref().map_or(&[], Bytes::as_slice),
            scale_type: *scale_type,
            global_scale: *global_scale,
        })
    }

    /// Whether the rows are quantized.
    pub fn is_quantized(&self) -> bool {
        matches!(self.storage, Storage::Quantized { .. })
    }

    /// Whether `next` can stand below this one in one packed matrix; `with_scales` of whole tensors, which may differ, too.
    pub fn joins(&self, next: &WeightTensor, with_scales: bool) -> bool {
        match (&self.storage, &next.storage) {
            (
                Storage::Quantized { format: a, scale_type: x, global_scale: one, .. },
                Storage::Quantized { format: b, scale_type: y, global_scale: other, .. },
            ) => {
                let have_none = one.is_none() && other.is_none();
                a == b && x == y && self.columns() == next.columns() && (with_scales || have_none)
            }
            _ => false,
        }
    }

    /// Whether both are dense, of one type and one width.
    pub fn is_dense_like(&self, other: &WeightTensor) -> bool {
        match (&self.storage, &other.storage) {
            (Storage::Dense { dtype: a, .. }, Storage::Dense { dtype: b, .. }) => {
                a == b && self.columns() == other.columns()
            }
            _ => false,
        }
    }

    /// Map the pages of the weights, on all threads: they are read next.
    pub fn populate(&self, pool: &Pool) {
        const PIECE: usize = 4 << 20;
        let data = match &self.storage {
            Storage::Quantized { data, .. } | Storage::Dense { data, .. } => data,
        };
        pool.run_blocks(data.len(), PIECE, |part| data.populate(part));
    }

    /// Let the system take the source pages back: the weights were copied.
    pub fn release(&self) {
        if let Storage::Quantized { data, scales, biases, .. } = &self.storage {
            data.release();
            scales.iter().chain(biases).for_each(Bytes::release);
        }
    }

    /// All elements as f32, or what is wrong with them.
    pub fn to_f32(&self) -> Result<Vec<f32>, String> {
        let mut out = vec![0.0; self.rows().max(1) * self.columns()];
        match (&self.storage, self.stored()) {
            (_, Some(stored)) => {
                stored.check().map_err(|e| e.to_string())?;
                for (row, out) in out.chunks_exact_mut(self.columns()).enumerate() {
                    stored.row_dequantize(row, out);
                }
            }
            (Storage::Dense { dtype, data }, None) => {
                let dtype = dense_type(*dtype).ok_or_else(|| format!("type {dtype} is not supported"))?;
                if data.len() != out.len() * dtype.size() {
                    return Err(format!("{} bytes for the shape {:?}", data.len(), self.shape));
                }
                dtype.widen(data.as_slice(), &mut out);
            }
            (Storage::Quantized { .. }, None) => unreachable!("quantized storage has a quantized view"),
        }
        Ok(out)
    }
}

/// A plain tensor as f32; empty when its type is not plain.
pub fn widen(view: &TensorView) -> Vec<f32> {
    let Some(dtype) = dense_type(view.dtype) else { return Vec::new() };
    let mut out = vec![0.0; view.data.len() / dtype.size()];
    dtype.widen(view.data.as_slice(), &mut out);
    out
}

/// The kernels' name of a plain element type.
pub fn dense_type(dtype: TensorType) -> Option<olivine_kernels::dense::DenseType> {
    use olivine_kernels::dense::DenseType;
    match dtype {
        TensorType::F32 => Some(DenseType::F32),
        TensorType::F16 => Some(DenseType::F16),
        TensorType::Bf16 => Some(DenseType::Bf16),
        _ => None,
    }
}
/// Columns of `rows` rows of bytes. Each core copies rows of its own, for what costs most is new memory's first touch.
fn picked(bytes: &[u8], rows: usize, columns: usize, ranges: &[Range<usize>]) -> Vec<u8> {
    let row_bytes = bytes.len() / rows.max(1);
    let places: Vec<Range<usize>> =
        ranges.iter().map(|range| row_bytes * range.start / columns..row_bytes * range.end / columns).collect();
    let own_bytes = places.iter().map(Range::len).sum::<usize>();
    if own_bytes == 0 {
        return Vec::new();
    }
    let mut out = vec![0; rows * own_bytes];
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = rows.div_ceil(cores.min(out.len() / THREAD_BYTES).max(1));
    let copy = |first: usize, out: &mut [u8]| {
        for (row, out) in bytes[first * row_bytes..].chunks_exact(row_bytes).zip(out.chunks_exact_mut(own_bytes)) {
            let mut at = 0;
            for place in &places {
                out[at..at + place.len()].copy_from_slice(&row[place.clone()]);
                at += place.len();
            }
        }
    };
    std::thread::scope(|scope| {
        let mut shares = out.chunks_mut(share * own_bytes).enumerate();
        let own = shares.next();
        shares.for_each(|(index, out)| drop(scope.spawn(move || copy(index * share, out))));
        own.into_iter().for_each(|(_, out)| copy(0, out));
    });
    out
}
