//! Options of a harness that are set unless the config sets them.

/// `defaults` without those that are `given` already. An option and its value are two words, or one with `=` where the
/// option ends with it. An option without a value has an empty one.
pub(super) fn unless_given(given: &[String], defaults: &[(&str, &str)]) -> Vec<String> {
    let mut out = Vec::new();
    for (option, value) in defaults {
        let name = option.trim_end_matches('=');
        let is_given =
            |word: &String| word == name || word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        if given.iter().any(is_given) {
            continue;
        }
        match (option.ends_with('='), value.is_empty()) {
            (true, _) => out.push(format!("{option}{value}")),
            (false, true) => out.push((*option).to_owned()),
            (false, false) => out.extend([(*option).to_owned(), (*value).to_owned()]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_is_given_is_not_set_again() {
        let set = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
            unless_given(&given, &[("--time", "1"), ("--quiet", ""), ("--json=", "a.json")]).join(" ")
        };
        assert_eq!(set(&[]), "--time 1 --quiet --json=a.json");
        assert_eq!(set(&["--time", "5"]), "--quiet --json=a.json");
        assert_eq!(set(&["--time=5", "--quiet"]), "--json=a.json");
        assert_eq!(set(&["--json", "b", "--timer"]), "--time 1 --quiet");
    }
}
