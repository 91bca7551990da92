//! Low-rank adapters for tiny models: folders as PEFT and mlx-lm write them, and the same models with them merged.
//!
//! Factors are functions of a seed and the module's name. Next: `tiny.rs`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::tiny::{TinyModel, fnv1a64};

/// A tensor in f32: name, shape, values.
pub type Floats = (String, Vec<usize>, Vec<f32>);

/// An adapter of some modules.
#[derive(Clone, Debug)]
pub struct TinyAdapter {
    /// The hub's names of modules, their outputs and inputs.
    pub modules: Vec<(String, [usize; 2])>,
    /// Rank of all.
    pub rank: usize,
    /// `lora_alpha`; the factor is `alpha / rank`.
    pub alpha: f32,
    /// Other seeds, other factors.
    pub seed: u64,
}

impl TinyAdapter {
    /// Of all projections of a model that adapters may correct and `wanted` names.
    pub fn of(model: &TinyModel, seed: u64, wanted: impl Fn(&str) -> bool) -> TinyAdapter {
        let module = |name: &str| name.strip_suffix(".weight").map(str::to_string);
        let fits = |name: &str| name.contains("proj") && !name.contains("experts") && !name.contains("kv_b_proj");
        let modules = model.tensors.iter().filter_map(|tensor| {
            let [rows, columns] = tensor.shape[..] else { return None };
            module(&tensor.name).filter(|name| fits(name) && wanted(name)).map(|name| (name, [rows, columns]))
        });
        TinyAdapter { modules: modules.collect(), rank: 5, alpha: 12.0, seed }
    }

    /// The factors of a module, row-major: `[rank, inputs]` and `[outputs, rank]`.
    pub fn factors(&self, module: &str, [rows, columns]: [usize; 2]) -> (Vec<f32>, Vec<f32>) {
        let uniform = |count: usize, part: u64, scale: f32| {
            let mut state =
                fnv1a64(module.as_bytes()) ^ (self.seed << 8 | part).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
            };
            (0..count).map(|_| next()).collect()
        };
        (uniform(self.rank * columns, 1, 0.2), uniform(rows * self.rank, 2, 0.2))
    }

    /// The folder that PEFT would write.
    pub fn write_peft(&self, folder: &Path) {
        let config = json!({
            "peft_type": "LORA", "r": self.rank, "lora_alpha": self.alpha, "bias": "none", "use_dora": false,
            "target_modules": ["q_proj"], "modules_to_save": null, "rank_pattern": {}, "alpha_pattern": {},
        });
        let mut tensors = Vec::new();
        for (module, shape) in &self.modules {
            let (down, up) = self.factors(module, *shape);
            let name = |part: &str| format!("base_model.model.{module}.lora_{part}.weight");
            tensors.push((name("A"), vec![self.rank, shape[1]], down));
            tensors.push((name("B"), vec![shape[0], self.rank], up));
        }
        write(folder, "adapter_model.safetensors", &config, &tensors);
    }

    /// The folder that mlx-lm would write.
    pub fn write_mlx(&self, folder: &Path) {
        let config = json!({
            "fine_tune_type": "lora", "num_layers": 16,
            "lora_parameters": {"rank": self.rank, "dropout": 0.0, "scale": self.alpha / self.rank as f32},
        });
        let mut tensors = Vec::new();
        for (module, shape) in &self.modules {
            let (down, up) = self.factors(module, *shape);
            let down = (format!("{module}.lora_a"), vec![shape[1], self.rank], transposed(&down, shape[1]));
            let up = (format!("{module}.lora_b"), vec![self.rank, shape[0]], transposed(&up, self.rank));
            tensors.extend([down, up]);
        }
        write(folder, "adapters.safetensors", &config, &tensors);
    }

    /// Adds the adapter to a model's tensors.
    pub fn merge(&self, tensors: &mut [Floats]) {
        for (module, shape) in &self.modules {
            let weight = format!("{module}.weight");
            let (_, _, values) =
                tensors.iter_mut().find(|(name, ..)| *name == weight).unwrap_or_else(|| panic!("no {weight}"));
            let (down, up) = self.factors(module, *shape);
            let scale = f64::from(self.alpha) / self.rank as f64;
            for (output, row) in values.chunks_exact_mut(shape[1]).enumerate() {
                for (input, value) in row.iter_mut().enumerate() {
                    let product =
                        |r: usize| f64::from(up[output * self.rank + r]) * f64::from(down[r * shape[1] + input]);
                    *value = (f64::from(*value) + scale * (0..self.rank).map(product).sum::<f64>()) as f32;
                }
            }
        }
    }
}

/// Rows of `columns` values, columns first.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}

fn write(folder: &Path, weights: &str, config: &Value, tensors: &[Floats]) {
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let file = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    };
    file("adapter_config.json", config.to_string().as_bytes());
    file(weights, &safetensors(tensors));
}

/// A safetensors file of f32 tensors.
pub fn safetensors(tensors: &[Floats]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let mut text = Value::Object(header).to_string();
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text.into_bytes());
    file.extend(data);
    file
}
