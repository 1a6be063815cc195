//! An incident's id as people read it and write it.

use std::fmt;

use uuid::Uuid;

/// The last eight digits of an id, as messages have them. A UUIDv7 begins with the time and ends with
/// chance, so these distinguish two incidents. Of a hundred thousand about two end alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortId(u32);

impl ShortId {
    /// That of this id.
    #[must_use]
    pub const fn of(id: Uuid) -> Self {
        let [.., a, b, c, d] = *id.as_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    /// Whether it is that of this id.
    #[must_use]
    pub fn is_of(self, id: Uuid) -> bool {
        self == Self::of(id)
    }

    /// The last four bytes of the id.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Reads exactly eight hexadecimal digits, in whatever case.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let is_short = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = || u32::from_str_radix(text, 16).ok();
        is_short.then(number).flatten().map(Self)
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// An incident as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentRef {
    /// Its id.
    Whole(Uuid),
    /// The end of its id.
    Short(ShortId),
}

impl IncidentRef {
    /// Reads an id, with dashes or without, or the end of one, if the text is nothing else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let short = || ShortId::read(text).map(Self::Short);
        let whole = || Uuid::try_parse(text).ok().map(Self::Whole);
        short().or_else(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(0x019a_ad2e_6d5e_7000_8000_0000_0fb3_09c4);

    #[test]
    fn a_short_id_is_the_end_of_the_id() {
        let short = ShortId::of(ID);
        assert_eq!(short.to_string(), "0fb309c4");
        assert!(ID.to_string().ends_with(&short.to_string()));
        assert!(ID.as_bytes().ends_with(&short.bytes()));
        assert!(short.is_of(ID) && !short.is_of(Uuid::nil()));
    }

    #[test]
    fn only_ids_and_short_ids_are_parsed() {
        let short = Some(IncidentRef::Short(ShortId::of(ID)));
        let whole = Some(IncidentRef::Whole(ID));
        for (text, expected) in [
            ("0fb309c4", short),
            (" 0FB309C4 ", short),
            ("019aad2e-6d5e-7000-8000-00000fb309c4", whole),
            ("019aad2e6d5e7000800000000fb309c4", whole),
            ("019AAD2E-6D5E-7000-8000-00000FB309C4", whole),
            ("", None),
            ("fb309c4", None),
            ("00fb309c4", None),
            ("+fb309c4", None),
            ("0fb309cg", None),
            ("0fb309c4 crash", None),
            ("019aad2e-6d5e-7000-8000-00000fb309c", None),
            ("０b309c", None),
        ] {
            assert_eq!(IncidentRef::read(text), expected, "{text:?}");
        }
    }
}
