use criterion::{Criterion, black_box, criterion_group, criterion_main};

fn mix(criterion: &mut Criterion) {
    eprintln!("{}", gated::describe(gated::mix(1)));
    criterion.bench_function("mix", |bencher| bencher.iter(|| gated::mix(black_box(7))));
}

criterion_group!(benches, mix);
criterion_main!(benches);
