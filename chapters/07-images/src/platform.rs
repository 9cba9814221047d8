//! Platforms: which of an index's manifests suits this machine.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::{Descriptor, ImageConfiguration};
use process::{Error, Result};

/// Operating system, architecture and variant in the names that Go and the OCI use: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The kernel, always `linux` on this machine.
    pub os: String,
    /// The processor: `amd64`, `arm64`, `riscv64`, …
    pub architecture: String,
    /// A revision of it, for arm: `v7`, `v8`.
    pub variant: Option<String>,
}

impl Platform {
    /// The machine that this program was compiled for.
    pub fn here() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, usual) = normalise(&architecture.to_ascii_lowercase());
        let variant = variant.filter(|variant| !variant.is_empty()).map(str::to_ascii_lowercase);
        // arm64 has one variant in practice, and most images do not mention it.
        let variant = variant.or(usual).filter(|variant| !(architecture == "arm64" && variant == "v8"));
        Self { os: os.to_ascii_lowercase(), architecture, variant }
    }

    /// What a descriptor of an index says, if it says anything.
    pub fn of_descriptor(descriptor: &Descriptor) -> Option<Self> {
        let platform = descriptor.platform().as_ref()?;
        let os = platform.os().to_string();
        Some(Self::new(&os, &platform.architecture().to_string(), platform.variant().as_deref()))
    }

    /// What an image's configuration says.
    pub fn of_config(config: &ImageConfiguration) -> Self {
        Self::new(&config.os().to_string(), &config.architecture().to_string(), config.variant().as_deref())
    }

    /// How well an image for `other` runs here: 0 is exact, larger is worse, `None` is not at all.
    ///
    /// A 32-bit arm runs the programs of its predecessors, so v7 takes v6 and v5 where there is no v7.
    pub fn suits(&self, other: &Self) -> Option<u32> {
        if self.os != other.os || self.architecture != other.architecture {
            return None;
        }
        if self.architecture != "arm" {
            // An image that names no variant is for all of them; one that does is for those that have it.
            return match (&self.variant, &other.variant) {
                (mine, theirs) if mine == theirs => Some(0),
                (_, None) => Some(1),
                _ => None,
            };
        }
        let number = |platform: &Self| {
            platform.variant.as_deref().and_then(|variant| variant.strip_prefix('v')?.parse::<u32>().ok()).unwrap_or(7)
        };
        number(self).checked_sub(number(other))
    }
}

/// The names that people and kernels use, as Go's; and the variant that such a name implies.
fn normalise(architecture: &str) -> (String, Option<String>) {
    let (name, variant) = match architecture {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        "arm" => ("arm", Some("v7")),
        "i386" | "i686" | "x86" => ("386", None),
        "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
        other => (other, None),
    };
    (name.to_owned(), variant.map(str::to_owned))
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let platform = match parts[..] {
            // One word is a kernel's name or a processor's.
            ["linux"] => Self::here(),
            [architecture] => Self::new("linux", architecture, None),
            [os, architecture] => Self::new(os, architecture, None),
            [os, architecture, variant] => Self::new(os, architecture, Some(variant)),
            _ => Self::new("", "", None),
        };
        let word = |text: &String| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        };
        if !word(&platform.os) || !word(&platform.architecture) || !platform.variant.iter().all(word) {
            return Err(Error::invalid(format!("{text:?} is no platform"))
                .help("write OS/ARCHITECTURE[/VARIANT], for example linux/amd64 or linux/arm/v7"));
        }
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(parse("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(parse("aarch64").to_string(), "linux/arm64");
        assert_eq!(parse("linux/arm64/v8"), parse("linux/arm64"));
        assert_eq!(parse("linux/arm"), parse("linux/arm/v7"));
        assert_eq!(parse("linux"), Platform::here());
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/amd 64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn arm_takes_its_predecessors() {
        assert_eq!(parse("linux/arm/v7").suits(&parse("linux/arm/v6")), Some(1));
        assert_eq!(parse("linux/arm/v6").suits(&parse("linux/arm/v7")), None);
        assert_eq!(parse("linux/amd64").suits(&parse("linux/arm64")), None);
        assert_eq!(parse("linux/amd64").suits(&parse("linux/amd64/v3")), None);
        assert_eq!(parse("linux/amd64/v3").suits(&parse("linux/amd64")), Some(1));
    }
}
