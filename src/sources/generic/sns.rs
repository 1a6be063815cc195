//! Amazon SNS: before it sends anything to an address, it sends there an address of its own, which is to be fetched.
//!
//! A sender can name any address. Only one of SNS itself is shown or fetched, by https, without a port
//! or a user, so that nobody has us ask what only we can reach. It confirms a subscription and can do nothing else.

use reqwest::Url;

use crate::sources::text::Object;
use crate::sources::{Confirmation, Refused, Translated};

/// The longest address that is taken, in bytes.
const BYTES: usize = 2048;

/// What a message of SNS is that carries no alert; `None` if it may carry one.
pub(super) fn read(body: &Object<'_>, confirm: bool) -> Option<Result<Translated, Refused>> {
    let unused = Translated {
        unused: 1,
        ..Translated::default()
    };
    match &*body.text("Type") {
        "SubscriptionConfirmation" => {
            let url = body.text("SubscribeURL");
            if !is_of_sns(&url) {
                let why =
                    "SubscribeURL is not an address of Amazon SNS: it must start with https://sns.";
                return Some(Err(Refused::Malformed(why.to_owned())));
            }
            Some(Ok(Translated {
                confirmation: Some(Confirmation {
                    url: url.into_owned(),
                    is_ours: confirm,
                }),
                ..unused
            }))
        }
        "UnsubscribeConfirmation" => Some(Ok(unused)),
        _ => None,
    }
}

/// Whether fetching this confirms a subscription at SNS, and nothing else.
fn is_of_sns(text: &str) -> bool {
    if text.len() > BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let region = host.strip_prefix("sns.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com")
            .or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    let is_region = region.is_some_and(|region| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !region.is_empty() && region.bytes().all(fits)
    });
    let confirms = url
        .query_pairs()
        .any(|(name, value)| name == "Action" && value == "ConfirmSubscription");
    url.scheme() == "https"
        && is_region
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && confirms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_sns_confirms() {
        let query = "/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-west-1:123:ops&Token=ab";
        for host in [
            "https://sns.eu-west-1.amazonaws.com",
            "https://sns.us-gov-west-1.amazonaws.com",
            "https://sns.cn-north-1.amazonaws.com.cn",
            "HTTPS://SNS.EU-WEST-1.AMAZONAWS.COM",
            "https://sns.eu-west-1.amazonaws.com:443",
        ] {
            assert!(is_of_sns(&format!("{host}{query}")), "{host}");
        }
        for host in [
            "http://sns.eu-west-1.amazonaws.com",
            "https://sns.eu-west-1.amazonaws.com:8443",
            "https://sns.eu-west-1.amazonaws.com@127.0.0.1",
            "https://a@sns.eu-west-1.amazonaws.com",
            "https://a:b@sns.eu-west-1.amazonaws.com",
            "https://sns.eu-west-1.amazonaws.com.example.com",
            "https://sns.eu-west-1.amazonaws.com.",
            "https://sns.a.b.amazonaws.com",
            "https://sns..amazonaws.com",
            "https://sns.amazonaws.com",
            "https://ec2.eu-west-1.amazonaws.com",
            "https://bucket.s3.amazonaws.com",
            "https://169.254.169.254",
            "https://[::1]",
            "https://sns.eu-west-1.amazonaws.com\\@127.0.0.1",
            "file://sns.eu-west-1.amazonaws.com",
            "",
        ] {
            assert!(!is_of_sns(&format!("{host}{query}")), "{host}");
        }
        let host = "https://sns.eu-west-1.amazonaws.com";
        for query in [
            "",
            "/",
            "/?Action=Publish",
            "/x?Action=ConfirmSubscription",
            "/?Action=ConfirmSubscription&x=\n",
        ] {
            assert!(!is_of_sns(&format!("{host}{query}")), "{query}");
        }
    }
}
