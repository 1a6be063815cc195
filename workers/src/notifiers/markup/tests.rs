//! Lines in each markup: their lengths, and what is escaped in them.

use super::*;

#[test]
fn whole_lines_go_when_the_limit_is_reached() {
    let lines = [
        Line::new().symbol("🚨").bold("a<b"),
        Line::new().code("second"),
        Line::new().text("third"),
    ];
    let first = "🚨 <b>a&lt;b</b>";
    let both = "🚨 <b>a&lt;b</b>\n<code>second</code>";
    assert_eq!(html(&lines, 6), first);
    assert_eq!(html(&lines, 12), first);
    assert_eq!(html(&lines, 13), both);
    assert_eq!(html(&lines, 18), both);
    assert_eq!(html(&lines, 19), format!("{both}\nthird"));
}

#[test]
fn each_part_has_its_html_and_its_plain_text() -> Result<(), Box<dyn std::error::Error>> {
    let url = Url::parse("https://example.com/?a=1&b=\"2\"#'")?;
    let line = Line::new()
        .dot()
        .bold("\"b\"")
        .dot()
        .link("Source", url)
        .text(" & ")
        .id(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0abc_def0));
    assert_eq!(
        html(std::slice::from_ref(&line), 100),
        "<b>&quot;b&quot;</b> · <a href=\"https://example.com/?a=1&amp;b=%222%22#'\">Source</a> \
             &amp; <code>0abcdef0</code>"
    );
    assert_eq!(
        chat(
            &[line.clone(), Line::new().symbol("🚨").text("<!here>")],
            200
        ),
        "\"b\" · Source https://example.com/?a=1&amp;b=%222%22#' &amp; \
             01990000-0000-7000-8000-00000abcdef0\n🚨 &lt;!here&gt;"
    );
    let written = html(std::slice::from_ref(&line), 100);
    assert_eq!(
        without(&written),
        "\"b\" · Source https://example.com/?a=1&b=%222%22#' & 0abcdef0"
    );
    assert_eq!(
        without("<b>a &lt;b&gt; &amp;lt;</b>\n&unknown; < &"),
        "a <b> &lt;\n "
    );
    assert_eq!(
        line.plain(),
        "\"b\" · Source https://example.com/?a=1&b=%222%22#' & \
             01990000-0000-7000-8000-00000abcdef0"
    );
    Ok(())
}

#[test]
fn a_chat_shows_what_was_written_and_neither_hides_an_address_nor_calls_everybody()
-> Result<(), Box<dyn std::error::Error>> {
    let table = [
        ("[md](http://evil)", "[md]\u{200b}(http://evil)"),
        ("![x](http://evil/x.png)", "![x]\u{200b}(http://evil/x.png)"),
        ("[md]: http://evil", "[md]\u{200b}: http://evil"),
        ("at [::1]:9090", "at [::1]:9090"),
        ("[a] (b) a@b.example", "[a] (b) a@b.example"),
        (
            "@everyone @Here @channel, @all",
            "@\u{200b}everyone @\u{200b}Here @\u{200b}channel, @\u{200b}all",
        ),
        ("ends in ] and @", "ends in ] and @"),
    ];
    for (said, expected) in table {
        let written = chat(&[Line::new().text(said)], 200);
        assert_eq!(written, expected);
        assert_eq!(written.replace(APART, ""), said);
    }
    let url = Url::parse("http://[::1]:80/?[md](http://evil)&@here")?;
    assert_eq!(
        chat(&[Line::new().link("Source", url)], 200),
        "Source http://[::1]:80/?[md%5D(http://evil)&amp;%40here".replace(":80", "")
    );
    Ok(())
}
