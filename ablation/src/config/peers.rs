//! Rules of peers: other ways to serve the workloads.

use super::check::{At, Checked};
use super::{Program, Subject, Workload, raw};
use std::collections::BTreeMap;

/// The variable with which the loader puts libraries beneath a program.
pub(crate) const PRELOAD: &str = "LD_PRELOAD";

/// Another way to serve the workloads: in the baseline binary, in another build of it, or by another program.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// Another program, its path or name, then arguments; `None`: the subject's.
    pub command: Option<Vec<String>>,
    /// Cargo features of a build of its own; `None`: the baseline's.
    pub features: Option<Vec<String>>,
    /// Variables besides the subject's.
    pub env: BTreeMap<String, String>,
    /// Arguments before those of the workload.
    pub args: Vec<String>,
    /// What `served_by` must say.
    pub served_by: Option<String>,
    /// Whether it may be missing on a machine.
    pub optional: bool,
    /// What to do where it is missing, for people; empty when nobody said.
    pub hint: String,
    /// Workloads that it runs with; `None`: all.
    pub workloads: Option<Vec<String>>,
    /// Whether it counts where the best peer or every peer is asked for.
    pub compare: bool,
}

/// A peer that may be missing and is, or what is about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Name of the peer.
    pub peer: String,
    /// What is not there.
    pub why: String,
    /// What to do about it; empty when nobody said.
    pub hint: String,
}

impl At<'_> {
    pub(super) fn peers(&self, raw: &[raw::Peer], subject: &Subject, workloads: &[Workload]) -> Checked<Vec<Peer>> {
        self.names("peer", raw.iter().map(|p| &p.name))?;
        let mut out = Vec::new();
        for peer in raw {
            let name = &peer.name;
            if let "best" | "each" = name.get_ref().as_str() {
                let message = format!("`{}` is what targets call several peers; rename this one", name.get_ref());
                return self.fail(name.span(), message);
            }
            let is_command = matches!(subject.program, Program::Command(_)) || peer.command.is_some();
            // In a binary that holds them all, another could serve every run and nobody would know.
            if !is_command && peer.served_by.as_deref().is_none_or(str::is_empty) {
                let message = "a peer must say who serves it: add served_by = \"NAME\"";
                return self.fail(name.span(), message);
            }
            if let (Some(features), true) = (&peer.features, is_command) {
                let message = "`features` are for a build of the subject's package, and a `command` is not built; remove one of the two";
                return self.fail(features.span(), message);
            }
            let features = peer.features.as_ref().map(|list| self.own_features(list));
            // The loader's variable is how many a peer comes to be; its library is found and hashed before anything runs.
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
                return self.fail(feature.span(), format!("the feature `{name}` is there twice; remove one"));
            }
            out.push(name);
        }
        Ok(out)
    }

    /// A variable without a library does nothing, but where it takes the subject's away.
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

    /// `optional` and `hint` are for what a machine may not have.
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
        let message =
            format!("nothing of this peer can be missing; give it a `command` or LD_PRELOAD, or remove `{key}`");
        self.fail(span, message)
    }
}

/// The libraries that [`PRELOAD`] names (ld.so(8): separated by blanks or colons).
pub(crate) fn libraries(preload: &str) -> impl Iterator<Item = &str> {
    preload.split([' ', ':']).filter(|name| !name.is_empty())
}

impl Peer {
    /// Whether it runs with a workload.
    pub fn runs(&self, workload: &str) -> bool {
        self.workloads.as_ref().is_none_or(|own| own.iter().any(|name| name == workload))
    }
}
