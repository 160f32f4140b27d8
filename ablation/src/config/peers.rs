//! Rules of peers: other allocators or programs that run the same workloads.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{Peer, Program, Subject, Workload};

/// The variable with which the dynamic loader puts libraries beneath a program.
pub(crate) const PRELOAD: &str = "LD_PRELOAD";

impl Checker<'_> {
    pub(super) fn peers(&self, raw: &[raw::Peer], subject: &Subject, workloads: &[Workload]) -> Checked<Vec<Peer>> {
        self.names("peer", raw.iter().map(|p| &p.name))?;
        let mut out = Vec::new();
        for peer in raw {
            let name = &peer.name;
            if let "best" | "each" = name.get_ref().as_str() {
                let message = format!("`{}` is what targets call several peers; rename this one", name.get_ref());
                return self.fail(name.span(), message);
            }
            let is_command = !matches!(subject.program, Program::Cargo(_)) || peer.command.is_some();
            // In a binary of several allocators another one could run, and the times would look valid.
            if !is_command && subject.harness.is_none() && peer.served_by.as_deref().is_none_or(str::is_empty) {
                let message = "this peer has no `served_by`, the name of the allocator or program that its result \
                               line reports; add served_by = \"NAME\"";
                return self.fail(name.span(), message);
            }
            if let (Some(features), true) = (&peer.features, is_command) {
                let message = "`features` are for a build of the subject's package, and a `command` is not built; \
                               remove one of the two";
                return self.fail(features.span(), message);
            }
            let features = peer.features.as_ref().map(|list| self.own_features(list));
            // Many peers are a preloaded library. It is found and hashed before anything runs.
            let env = self.env(&peer.env, true)?;
            self.preload(peer, subject)?;
            self.missable(peer)?;
            let known = workloads.iter().map(|workload| workload.name.as_str());
            let own = peer.workloads.as_ref().map(|list| self.list("workload", list, known)).transpose()?;
            out.push(Peer {
                name: name.get_ref().clone(),
                command: peer.command.as_ref().map(|command| self.command(command)).transpose()?,
                features: features.transpose()?,
                env,
                args: self.args(&peer.args)?,
                served_by: peer.served_by.clone().filter(|name| !name.is_empty()),
                optional: peer.optional.as_ref().is_some_and(|optional| *optional.get_ref()),
                hint: peer.hint.as_ref().map(|hint| hint.get_ref().clone()).unwrap_or_default(),
                workloads: own.map(|own| own.into_iter().map(|index| workloads[index].name.clone()).collect()),
                compare: peer.compare,
            });
        }
        Ok(out)
    }

    fn own_features(&self, list: &raw::Texts) -> Checked<Vec<String>> {
        let mut out = Vec::new();
        for feature in list.get_ref() {
            let name = self.feature(feature)?;
            if out.contains(&name) {
                return self.fail(feature.span(), format!("the feature `{name}` is listed twice; remove one"));
            }
            out.push(name);
        }
        Ok(out)
    }

    /// Refuses an empty variable, which has no effect, unless it removes the subject's library.
    fn preload(&self, peer: &raw::Peer, subject: &Subject) -> Checked<()> {
        let given = peer.env.iter().find(|(name, _)| name.get_ref() == PRELOAD);
        match given.filter(|(_, value)| libraries(value.get_ref()).next().is_none()) {
            Some((_, value)) if !subject.env.contains_key(PRELOAD) => {
                let message = "LD_PRELOAD names no library; write one, like \"libother.so.2\", or remove the variable";
                self.fail(value.span(), message)
            }
            _ => Ok(()),
        }
    }

    /// Refuses `optional` and `hint` for a peer that cannot be missing: it has neither a program nor a library of its
    /// own.
    fn missable(&self, peer: &raw::Peer) -> Checked<()> {
        let preloads = |(name, value): (&raw::Text, &raw::Text)| {
            name.get_ref() == PRELOAD && libraries(value.get_ref()).next().is_some()
        };
        if peer.command.is_some() || peer.env.iter().any(preloads) {
            return Ok(());
        }
        let optional = peer.optional.as_ref().filter(|optional| *optional.get_ref()).map(toml::Spanned::span);
        let hint = peer.hint.as_ref().map(toml::Spanned::span);
        let Some((span, key)) = optional.map(|span| (span, "optional")).or(hint.map(|span| (span, "hint"))) else {
            return Ok(());
        };
        let message = format!(
            "this peer is run by the subject's own program, so it cannot be missing; give it a `command` or \
             LD_PRELOAD, or remove `{key}`"
        );
        self.fail(span, message)
    }
}

/// The libraries that [`PRELOAD`] names (ld.so(8): separated by blanks or colons).
pub(crate) fn libraries(preload: &str) -> impl Iterator<Item = &str> {
    preload.split([' ', ':']).filter(|name| !name.is_empty())
}

impl Peer {
    /// Whether the peer runs with a workload.
    pub(crate) fn runs(&self, workload: &str) -> bool {
        self.workloads.as_ref().is_none_or(|own| own.iter().any(|name| name == workload))
    }
}
