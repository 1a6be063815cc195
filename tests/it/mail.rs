//! E-mail over TLS, as relays want it: encrypted from the first byte or from STARTTLS on, with a password. A
//! certificate that is not trusted, and a server that does not encrypt, get neither the password nor the mail.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::process::{Folder, PATIENCE, Process, beside_others, folder, free_port, program};

const PASSWORD: &str = "s3cret-of-the-relay";

/// What a relay was told: `STARTTLS` and `AUTH …` as they came, and each mail.
type Heard = Arc<Mutex<Vec<String>>>;

/// How a relay of a test encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encrypts {
    FromTheStart,
    FromStartTls,
    Never,
}

/// A relay on a port of its own, whose certificate is for `localhost`.
struct Relay {
    port: u16,
    certificate: String,
    heard: Heard,
}

impl Relay {
    async fn start(encrypts: Encrypts) -> Self {
        tocsin::tls::choose();
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Heard::default();
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(meet(stream, acceptor.clone(), encrypts, Arc::clone(&all)));
            }
        });
        Self {
            port,
            certificate: signed.cert.pem(),
            heard,
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn meet(stream: TcpStream, tls: TlsAcceptor, encrypts: Encrypts, heard: Heard) -> Option<()> {
    let stream = match encrypts {
        Encrypts::FromTheStart => {
            return talk(tls.accept(stream).await.ok()?, "", true, &heard)
                .await
                .map(drop);
        }
        Encrypts::FromStartTls => talk(stream, "250-STARTTLS\r\n", true, &heard).await?,
        Encrypts::Never => talk(stream, "", true, &heard).await?,
    };
    talk(tls.accept(stream).await.ok()?, "", false, &heard)
        .await
        .map(drop)
}

/// Speaks SMTP until the client asks for STARTTLS, whose stream is returned then.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    offers: &str,
    greets: bool,
    heard: &Heard,
) -> Option<S> {
    let (reading, mut writing): (ReadHalf<S>, WriteHalf<S>) = tokio::io::split(stream);
    let mut reading = BufReader::new(reading);
    if greets {
        writing.write_all(b"220 localhost ESMTP\r\n").await.ok()?;
    }
    let (mut data, mut is_data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if reading.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let command = line.trim_end();
        if is_data && command != "." {
            data.push_str(&line);
            continue;
        }
        let (verb, _) = command.split_once(' ').unwrap_or((command, ""));
        if is_data || matches!(verb, "STARTTLS" | "AUTH") {
            let said = if is_data {
                std::mem::take(&mut data)
            } else {
                command.to_owned()
            };
            heard.lock().unwrap().push(said);
        }
        is_data = verb == "DATA";
        let answer = match verb {
            "EHLO" => format!("250-localhost\r\n{offers}250 AUTH PLAIN"),
            "STARTTLS" => "220 go on".to_owned(),
            "AUTH" => "235 welcome".to_owned(),
            "DATA" => "354 go on".to_owned(),
            _ => "250 ok".to_owned(),
        };
        let answer = format!("{answer}\r\n");
        writing.write_all(answer.as_bytes()).await.ok()?;
        if verb == "STARTTLS" {
            return Some(reading.into_inner().unsplit(writing));
        }
    }
}

/// A Tocsin that writes to this relay, and trusts what `trusted` says.
struct Sender {
    server: Process,
    url: String,
    _folder: Folder,
}

impl Sender {
    async fn start(relay: &Relay, security: &str, trusted: &str) -> Self {
        let (folder, port) = (folder(), free_port());
        let authorities = folder.join("authorities.pem");
        std::fs::write(&authorities, trusted).unwrap();
        let database = format!("sqlite://{}/tocsin.db", folder.path().display());
        let mut command = Command::new(program());
        command
            .arg("serve")
            .current_dir(folder.path())
            .env("SSL_CERT_FILE", &authorities)
            .env("TOCSIN_DATABASE_URL", &database)
            .env("TOCSIN_LISTEN", format!("127.0.0.1:{port}"))
            .env("TOCSIN_EMAIL__SERVER", format!("localhost:{}", relay.port))
            .env("TOCSIN_EMAIL__SECURITY", security)
            .env("TOCSIN_EMAIL__USER", "tocsin")
            .env("TOCSIN_EMAIL__PASSWORD", PASSWORD)
            .env("TOCSIN_EMAIL__FROM", "tocsin@example.org")
            .env("TOCSIN_EMAIL__TO", "[\"oncall@example.org\"]")
            .env_remove("SSL_CERT_DIR")
            .env_remove("TOCSIN_REDIS_URL");
        let server = Process::start("serve", command, folder.join("serve.log")).unwrap();
        let (http, url) = (
            tocsin::tls::client().build().unwrap(),
            format!("http://127.0.0.1:{port}"),
        );
        let began = Instant::now();
        while http.get(format!("{url}/healthz")).send().await.is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not start");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Self {
            server,
            url,
            _folder: folder,
        }
    }

    /// Sends a test message: whether it was sent, and what the command and the server's log say.
    async fn test(&self) -> (bool, String) {
        let url = self.url.clone();
        let Output {
            status,
            stdout,
            stderr,
        } = tokio::task::spawn_blocking(move || {
            Command::new(program())
                .args(["notify", "test", "email:oncall@example.org"])
                .env("TOCSIN_URL", &url)
                .output()
                .unwrap()
        })
        .await
        .unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        (status.success(), format!("{said}{}", self.server.said()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_and_password_go_to_a_relay_with_a_trusted_certificate() {
    let _turn = beside_others().await;
    let signed_in = STANDARD.encode(format!("\0tocsin\0{PASSWORD}"));
    for (encrypts, security, begins) in [
        (Encrypts::FromTheStart, "tls", &[][..]),
        (Encrypts::FromStartTls, "starttls", &["STARTTLS"][..]),
    ] {
        let relay = Relay::start(encrypts).await;
        let sender = Sender::start(&relay, security, &relay.certificate).await;
        let (went_well, said) = sender.test().await;
        assert!(went_well && said.contains("answered 250"), "{said}");
        let mut heard = relay.heard();
        let mail = heard.pop().unwrap();
        assert!(mail.contains("To: oncall@example.org"), "{mail}");
        let begins = begins.iter().map(|&line| line.to_owned());
        let expected: Vec<String> = begins.chain([format!("AUTH PLAIN {signed_in}")]).collect();
        assert_eq!(heard, expected, "{encrypts:?}");
        assert!(!said.contains(PASSWORD) && !said.contains(&signed_in));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_a_relay_that_is_not_trusted_or_does_not_encrypt() {
    let _turn = beside_others().await;
    for (encrypts, security, names_the_cause) in [
        (Encrypts::FromTheStart, "tls", "certificate"),
        (Encrypts::FromStartTls, "starttls", "certificate"),
        (Encrypts::Never, "starttls", "STARTTLS"),
    ] {
        let relay = Relay::start(encrypts).await;
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let sender = Sender::start(&relay, security, &other.cert.pem()).await;
        let (went_well, said) = sender.test().await;
        assert!(!went_well && said.contains(names_the_cause), "{said}");
        let heard = relay.heard();
        assert!(
            heard.iter().all(|line| line == "STARTTLS"),
            "{encrypts:?}: {heard:?}"
        );
    }
}
