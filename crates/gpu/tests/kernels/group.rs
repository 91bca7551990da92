//! Several cards as one device: the same software device opened twice, or as many CUDA devices as there are.
//!
//! With several CUDA devices these tests run alone (`kernels group::`): the driver may wait for a device before it loads
//! another test's kernels, and a kernel that waits there for another card, to which nobody then sends work, gives up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use olivine_gpu::expression::{Binary, Expression};
use olivine_gpu::ops::elementwise::{Operand, elementwise};
use olivine_gpu::ops::laying::FileMatrix;
use olivine_gpu::ops::matmul::{Matmul, matmul};
use olivine_gpu::ops::weights::{Code, Matrix};
use olivine_gpu::{Device, GpuError, List, choices, open_named};

use crate::common::{assert_bits, room, upload, values};

/// A group on the device of the tests, and the turn that tests take to have one; none, said aloud, where there is only one card.
fn group() -> Option<(MutexGuard<'static, ()>, Arc<dyn Device>)> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = std::env::var("OLIVINE_DEVICE").unwrap_or_else(|_| "vulkan:0".to_string());
    let names: &[&str] = match name.as_str() {
        name if name.starts_with("vulkan") => &["vulkan:0,0"],
        name if name.starts_with("cuda") => &["cuda:0,1,2,3", "cuda:0,1"],
        _ => &[],
    };
    for name in names {
        match open_named(name) {
            Ok(group) => return Some((turn, group)),
            Err(GpuError::NotFound { .. }) => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
    eprintln!("SKIPPED: no two devices here");
    None
}

fn floats(device: &dyn Device, card: usize, memory: &olivine_gpu::Memory) -> Vec<f32> {
    let mut out = vec![0.0f32; memory.bytes() as usize / 4];
    device.read_from(card, memory, 0, bytemuck::cast_slice_mut(&mut out)).expect("read");
    out
}

#[test]
fn sums_are_added_in_the_order_of_the_cards_and_alike_on_all() {
    let Some((_turn, group)) = group() else { return };
    let cards = group.cards();
    // One block, some, as many as go by mail, and more.
    for count in [1, 5, 512, 1000, 70_001, 300_000, 1_000_003] {
        let (from, to) = (group.allocate(4 * count as u64).unwrap(), group.allocate(4 * count as u64).unwrap());
        let mut list = List::new();
        list.sum_of_cards(&from, &to);
        let recording = group.record(list.clone()).unwrap();
        for round in 0..4u64 {
            let shares: Vec<Vec<f32>> =
                (0..cards).map(|card| values(round * 10 + card as u64 + count as u64, count)).collect();
            for (card, share) in shares.iter().enumerate() {
                group.write_to(card, &from, 0, bytemuck::cast_slice(share)).unwrap();
            }
            match round % 2 {
                0 => group.submit(&list).unwrap(),
                _ => recording.replay().unwrap(),
            }
            let sum = |index: usize| shares[1..].iter().fold(shares[0][index], |sum, share| sum + share[index]);
            let expected: Vec<f32> = (0..count).map(sum).collect();
            for card in 0..cards {
                assert!(floats(&*group, card, &to) == expected, "{count} floats on card {card}, round {round}");
            }
        }
    }
}

#[test]
fn a_long_chain_of_sums_of_many_sizes_keeps_its_turns() {
    let Some((_turn, group)) = group() else { return };
    let most = 700_000;
    let memory = [0; 2].map(|_| group.allocate(4 * most).unwrap());
    let ones: Vec<f32> = vec![1.0; most as usize];
    memory.iter().for_each(|memory| group.write(memory, 0, bytemuck::cast_slice(&ones)).unwrap());
    let mut list = List::new();
    for (step, count) in [700, 600_000, 40_000, 1, 700_000, 9_000].into_iter().cycle().take(30).enumerate() {
        let (from, to) = (&memory[step % 2], &memory[(step + 1) % 2]);
        list.copy(&from.slice(0, 4 * most), to);
        list.sum_of_cards(&from.slice(0, 4 * count), to);
    }
    let recording = group.record(list).unwrap();
    for _ in 0..2 {
        recording.replay().unwrap();
        group.write(&memory[1], 0, bytemuck::cast_slice(&ones)).unwrap();
    }
    let cards = group.cards() as f32;
    for card in 0..group.cards() {
        let out = floats(&*group, card, &memory[0]);
        // Two replays of 30 sums; the first element is in all of them, the last in a sixth.
        assert_eq!(out[0].log(cards).round(), 60.0, "card {card}");
        assert_eq!(out[699_999].log(cards).round(), 10.0, "card {card}");
    }
}

/// A card's share of a sum over `inner` columns, the sum over the cards, and the residual stream added to it. `alone` sends the
/// commands one by one and keeps what is between them; elsewhere only the list has that, and cards may do them together.
fn product_of_cards(group: &dyn Device, matrix: &Matrix, rows: usize, alone: bool) -> Vec<Vec<f32>> {
    let count = rows * matrix.rows;
    let [x, share, sum, out] = [rows * matrix.columns, count, count, count].map(|floats| room(group, floats));
    for card in 0..group.cards() {
        group.write_to(card, &x, 0, bytemuck::cast_slice(&values(card as u64, rows * matrix.columns))).unwrap();
    }
    let before = upload(group, &values(9, count));
    let plus = Arc::new(Expression::input(0).binary(Binary::Add, Expression::input(1)));
    let mut lists = vec![List::new()];
    for step in 0..3 {
        let list = lists.last_mut().unwrap();
        match step {
            0 => matmul(list, matrix, &x, matrix.columns, rows, &Matmul::default(), &share),
            1 => list.sum_of_cards(&share, &sum),
            _ => {
                let operands = [&before, &sum].map(|memory| Operand { memory, divide: 1, modulo: count });
                elementwise(list, &plus, &operands, &[], count, &out);
            }
        }
        if alone {
            lists.push(List::new());
        }
    }
    if !alone {
        drop((share, sum));
    }
    // Several times, so that memory that sums come to is used again.
    for _ in 0..3 {
        lists.iter().for_each(|list| group.submit(list).unwrap());
    }
    (0..group.cards()).map(|card| floats(group, card, &out)).collect()
}

#[test]
fn a_product_its_sum_over_the_cards_and_the_residual_in_one_list_are_what_each_alone_gives() {
    let Some((_turn, group)) = group() else { return };
    // By mail, and more than that; the last ones in tiles whose end sends them.
    for (rows, features) in [(1, 1024), (20, 1024), (70, 8192), (260, 2049), (261, 2052)] {
        let weights: Vec<half::bf16> = values(7, features * 64).into_iter().map(half::bf16::from_f32).collect();
        let bytes = bytemuck::cast_slice(&weights);
        let matrix = FileMatrix::dense(Code::Bf16, features, 64, bytes).upload(&*group).unwrap();
        let parts = product_of_cards(&*group, &matrix, rows, true);
        let one = product_of_cards(&*group, &matrix, rows, false);
        for card in 0..group.cards() {
            assert_bits(&parts[card], &parts[0], &format!("{rows} rows of {features}, card {card}"));
            assert_bits(&one[card], &parts[0], &format!("{rows} rows of {features}, in one list, card {card}"));
        }
    }
}

#[test]
fn rows_are_joined_from_the_cards_pieces() {
    let Some((_turn, group)) = group() else { return };
    let cards = group.cards();
    for [rows, piece] in [[1, 3], [7, 130], [33, 4001]] {
        let from = group.allocate(4 * (rows * piece) as u64).unwrap();
        let to = group.allocate(4 * (rows * piece * cards) as u64).unwrap();
        let shares: Vec<Vec<f32>> = (0..cards).map(|card| values(card as u64, rows * piece)).collect();
        for (card, share) in shares.iter().enumerate() {
            group.write_to(card, &from, 0, bytemuck::cast_slice(share)).unwrap();
        }
        let mut list = List::new();
        list.join_cards(rows, &from, &to);
        group.submit(&list).unwrap();
        let row = |row: usize| shares.iter().flat_map(move |share| share[row * piece..(row + 1) * piece].to_vec());
        let expected: Vec<f32> = (0..rows).flat_map(row).collect();
        for card in 0..cards {
            assert!(floats(&*group, card, &to) == expected, "{rows} rows of {piece} on card {card}");
        }
    }
}

#[test]
fn names_of_groups_and_a_lost_card() {
    assert_eq!(choices("cuda:0,3").unwrap().len(), 2);
    assert_eq!(choices("vulkan:1").unwrap().len(), 1);
    for wrong in ["cuda:0,x", "gpu:0,1", "cuda:,"] {
        assert!(matches!(choices(wrong), Err(GpuError::Choice(name)) if name == wrong), "{wrong}");
    }
    let Some((_turn, group)) = group() else { return };
    assert!(group.info().name.starts_with(&format!("{} x ", group.cards())), "{}", group.info().name);
    let (from, to) = (group.allocate(64).unwrap(), group.allocate(64).unwrap());
    group.simulate_loss();
    let mut list = List::new();
    list.sum_of_cards(&from, &to);
    assert!(matches!(group.wait(), Err(GpuError::Lost { .. })));
    assert!(matches!(group.allocate(4), Err(GpuError::Lost { .. })));
}
