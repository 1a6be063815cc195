//! The macro that declares texts: by name, once.

/// Declares the texts that every language has.
macro_rules! texts {
    ($($name:ident)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub struct Text {
            $( #[doc = concat!("`", stringify!($name), "`")] pub $name: &'static str, )*
        }

        impl Text {
            /// Every text with its name.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, &'static str)> {
                vec![$( (stringify!($name), self.$name), )*]
            }
        }
    };
}
