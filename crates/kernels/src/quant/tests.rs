//! Tests of the format list and of the checks at its edge; byte-exact tests are in `tests/quant_golden.rs`.

use super::*;

#[test]
fn names_and_gguf_numbers_lead_back() {
    for info in &FORMATS {
        assert_eq!(Format::parse(info.name), Some(info.format));
        assert_eq!(Format::parse(&info.name.to_uppercase()), Some(info.format));
        assert_eq!(info.format.info().name, info.name);
        if let Some(id) = info.gguf_type_id {
            assert_eq!(Format::from_gguf_type(id), Some(info.format));
        }
    }
    assert_eq!(Format::parse("affine4"), Some(Format::Affine { bits: 4, group: 64 }));
    assert_eq!(Format::parse("affine7"), None);
    assert_eq!(Format::parse("q4_k_m"), None);
    assert_eq!(Format::from_gguf_type(0), None);
    assert_eq!(Format::Q4K.bits_per_weight(), 4.5);
    assert_eq!(Format::parse("affine4").expect("known").bits_per_weight(), 4.5);
    assert_eq!(Format::Nvfp4.bits_per_weight(), 4.5);
}

#[test]
fn wrong_lengths_are_named() {
    let pool = Pool::new(1);
    let made = quantize(&pool, Format::Affine { bits: 4, group: 32 }, 2, 64, &[0.5f32; 128][..]).expect("fits");
    let mut stored = made.as_stored();
    assert_eq!(stored.check(), Ok(()));
    stored.biases = &made.biases[1..];
    let message = stored.check().expect_err("a byte is missing").to_string();
    assert_eq!(message, "affine4-g32 matrix of 2 x 64: biases has length 15, expected 16");
    stored = Stored { columns: 48, ..made.as_stored() };
    assert_eq!(stored.check(), Err(QuantError::Columns { format: "affine4-g32", columns: 48, block: 32 }));
    stored = Stored { rows: usize::MAX / 64, ..made.as_stored() };
    assert_eq!(stored.check(), Err(QuantError::Overflow { rows: usize::MAX / 64, columns: 64 }));
    stored = Stored { format: Format::Affine { bits: 7, group: 32 }, ..made.as_stored() };
    assert_eq!(stored.check(), Err(QuantError::NoSuchAffine { bits: 7, group: 32 }));
    let error = quantize(&pool, Format::Iq3S, 1, 256, &[0.0f32; 256][..]).expect_err("no encoder");
    assert_eq!(error, QuantError::NoEncoder { format: "iq3_s" });
    assert!(matches!(
        quantize(&pool, Format::Q4K, 1, 256, &[0.0f32; 255][..]),
        Err(QuantError::Length { part: "source", expected: 256, found: 255, .. })
    ));
}

#[test]
fn empty_matrices_are_fine() {
    let pool = Pool::new(1);
    for (rows, columns) in [(0, 256), (3, 0), (0, 0)] {
        let made = quantize(&pool, Format::Q4K, rows, columns, &[0.0f32; 0][..]).expect("nothing to do");
        assert_eq!(made.as_stored().check(), Ok(()));
        dequantize(&pool, &made.as_stored(), &mut []);
    }
}

#[test]
fn threads_and_source_types_change_nothing() {
    let (rows, columns) = (70, 1024);
    let values: Vec<bf16> = noise(rows * columns).into_iter().map(bf16::from_f32).collect();
    let wide: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
    for info in FORMATS.iter().filter(|info| info.encode.is_some()) {
        let one = quantize(&Pool::new(1), info.format, rows, columns, &values[..]).expect("fits");
        let three = quantize(&Pool::new(3), info.format, rows, columns, &values[..]).expect("fits");
        assert_eq!(one, three, "{}", info.name);
        let from_f32 = quantize(&Pool::new(1), info.format, rows, columns, &wide[..]).expect("fits");
        assert_eq!(one.data, from_f32.data, "{}", info.name);
        let mut whole = vec![0.0; rows * columns];
        dequantize(&Pool::new(3), &one.as_stored(), &mut whole);
        let mut row = vec![0.0; columns];
        for (index, expected) in whole.chunks_exact(columns).enumerate() {
            one.as_stored().row_dequantize(index, &mut row);
            assert_eq!(row, expected, "{}", info.name);
        }
    }
}

/// Root mean square error relative to that of the values, for normal noise: each more bit must pay.
#[test]
fn errors_are_as_small_as_the_bits_allow() {
    let (rows, columns) = (16, 1024);
    let values = noise(rows * columns);
    let energy: f64 = values.iter().map(|value| (*value as f64).powi(2)).sum();
    let error_of = |name: &str| {
        let format = Format::parse(name).expect("known");
        let made = quantize(&Pool::new(1), format, rows, columns, &values[..]).expect("fits");
        let mut back = vec![0.0; values.len()];
        dequantize(&Pool::new(1), &made.as_stored(), &mut back);
        let error: f64 = values.iter().zip(&back).map(|(a, b)| (*a as f64 - *b as f64).powi(2)).sum();
        (error / energy).sqrt()
    };
    let limits = [
        ("affine2", 0.50),
        ("affine3", 0.22),
        ("affine4", 0.105),
        ("affine5", 0.052),
        ("affine6", 0.026),
        ("affine8", 0.0065),
        ("mxfp4", 0.17),
        ("mxfp8", 0.035),
        ("nvfp4", 0.11),
        ("gguf-mxfp4", 0.15),
        ("q4_0", 0.10),
        ("q4_1", 0.09),
        ("q5_0", 0.05),
        ("q5_1", 0.044),
        ("q8_0", 0.0065),
        ("q2_k", 0.34),
        ("q3_k", 0.18),
        ("q4_k", 0.08),
        ("q5_k", 0.042),
        ("q6_k", 0.022),
    ];
    for (name, limit) in limits {
        let error = error_of(name);
        assert!(error < limit && error > limit / 2.0, "{name}: {error}, limit {limit}");
    }
}

#[test]
fn decoders_accept_any_bytes() {
    let mut state = 1u64;
    for info in &FORMATS {
        for _ in 0..20 {
            let columns = info.block_columns * 8;
            let mut bytes = |length: usize| -> Vec<u8> { (0..length).map(|_| next(&mut state) as u8).collect() };
            let scale_type = [ScaleType::F32, ScaleType::F16, ScaleType::Bf16][info.name.len() % 3];
            let scales = 8 * info.format.scale_bytes(scale_type);
            let (data, scales, biases) = (bytes(info.block_bytes * 8), bytes(scales), bytes(scales));
            let biases = if matches!(info.format, Format::Affine { .. }) { &biases[..] } else { &[] };
            let stored = Stored {
                format: info.format,
                rows: 1,
                columns,
                data: &data,
                scales: &scales,
                biases,
                scale_type,
                global_scale: None,
            };
            assert_eq!(stored.check(), Ok(()));
            dequantize(&Pool::new(1), &stored, &mut vec![0.0; columns]);
        }
    }
}

#[test]
fn encoders_accept_any_floats() {
    let mut state = 2u64;
    let wild: Vec<f32> = (0..4096).map(|_| f32::from_bits(next(&mut state) as u32)).collect();
    let extremes = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0, 1e-45];
    let extremes: Vec<f32> = (0..4096).map(|index| extremes[index * 7 % 8]).collect();
    for info in FORMATS.iter().filter(|info| info.encode.is_some()) {
        for values in [&wild, &extremes, &vec![f32::NAN; 4096], &vec![0.0; 4096]] {
            let made = quantize(&Pool::new(1), info.format, 2, 2048, &values[..]).expect("fits");
            dequantize(&Pool::new(1), &made.as_stored(), &mut vec![0.0; 4096]);
        }
    }
}

/// xorshift64.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Nearly normal noise: sums of twelve uniform numbers.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 0x9E37_79B9_7F4A_7C15;
    let mut uniform = || (next(&mut state) >> 40) as f32 / (1u64 << 24) as f32;
    (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}
