"""A problem for a solver of formulas with integers, reals and arrays: a schedule with sums, and an array that is sorted."""

jobs = 9
print("(set-logic ALL)")
for job in range(jobs):
    print(f"(declare-const start{job} Int)(declare-const cost{job} Real)")
    print(f"(assert (and (>= start{job} 0) (<= start{job} {jobs * 4})))")
    print(f"(assert (= cost{job} (* {1 + job % 3}.5 (to_real start{job}))))")
for one in range(jobs):
    for other in range(one):
        print(f"(assert (or (>= start{one} (+ start{other} {2 + other % 3})) (>= start{other} (+ start{one} {2 + one % 3}))))")
print("(assert (<= (+ " + " ".join(f"cost{job}" for job in range(jobs)) + f") {jobs * 21}.0))")
print("(declare-const a (Array Int Int))")
for place in range(6):
    print(f"(assert (< (select a {place}) (select (store a {place + 1} start{place}) {place + 1})))")
print("(check-sat)")
