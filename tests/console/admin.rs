//! Running the gateway from the console.

use http::StatusCode;
use turnpike::domain::money::Nanos;

use crate::support::browser::Browser;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::Upstream;

/// The value of a hidden field of a page.
fn hidden(page: &str, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let start = page.find(&marker).unwrap() + marker.len();
    page[start..].split('"').next().unwrap().to_owned()
}

/// The address that a page shows to be sent to somebody.
fn shown_link(page: &str) -> String {
    let start = page.find("<code id=\"link\">").unwrap() + "<code id=\"link\">".len();
    page[start..]
        .split('<')
        .next()
        .unwrap()
        .replace("&amp;", "&")
}

on_both_engines! { async fn credit_is_granted_once_however_often_the_form_is_sent(db: TestDb) {
    let server = Server::start(db, "").await;
    let (_, admin) = server.person("root@example.com", true).await;
    let (account, _) = server.person("ann@example.com", false).await;
    let page = format!("/admin/users/{}", account.id);
    let list = admin.get("/admin/users?q=ann%40").await.text();
    assert!(list.contains(&page) && !list.contains("root@example.com</a>"), "{list}");
    let once = hidden(&admin.get(&page).await.text(), "once");
    let fields = [("amount", "25"), ("note", "Welcome"), ("once", once.as_str())];
    let grant = format!("{page}/grant");
    assert_eq!(admin.submit(&page, &grant, &fields).await.location(), format!("{page}?done=granted"));
    assert_eq!(admin.submit(&page, &grant, &fields).await.location(), format!("{page}?done=again"));
    let left = async || server.store.credits(&account.id).await.unwrap().balance();
    assert_eq!(left().await, Nanos::from_dollars(35));
    let once = hidden(&admin.get(&page).await.text(), "once");
    let fields = [("amount", "-5"), ("once", once.as_str())];
    admin.submit(&page, &grant, &fields).await;
    assert_eq!(left().await, Nanos::from_dollars(30));
    for amount in ["", "0", "much"] {
        let answer = admin.submit(&page, &grant, &[("amount", amount), ("once", "abcdefghijkl")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{amount}");
        assert!(answer.text().contains("Enter an amount"));
    }
    let verified = admin.submit("/admin", "/admin/ledger/verify", &[]).await.text();
    assert!(verified.contains("The ledger holds"), "{verified}");
    server.stop().await;
}}

#[tokio::test]
async fn people_are_let_in_and_made_admins() {
    let server = Server::alone("").await;
    let (root, admin) = server.person("root@example.com", true).await;
    let invitation = admin.submit("/admin", "/admin/invitations", &[]).await;
    let link = shown_link(&invitation.text()).replace(&server.base, "");
    let guest = Browser::new(&server.base);
    assert_eq!(guest.get(&link).await.status, StatusCode::OK, "{link}");

    let (account, ann) = server.person("ann@example.com", false).await;
    let page = format!("/admin/users/{}", account.id);
    let made = admin.submit(&page, &format!("{page}/password"), &[]).await;
    let link = shown_link(&made.text()).replace(&server.base, "");
    assert_eq!(guest.get(&link).await.status, StatusCode::OK, "{link}");

    assert_eq!(ann.get("/admin").await.status, StatusCode::FORBIDDEN);
    let role = format!("{page}/role");
    admin.submit(&page, &role, &[("role", "admin")]).await;
    assert_eq!(ann.get("/admin").await.status, StatusCode::OK, "at once");
    admin.submit(&page, &role, &[("role", "user")]).await;
    assert_eq!(ann.get("/admin").await.status, StatusCode::FORBIDDEN);
    ann.get("/account").await;
    admin.submit(&page, &format!("{page}/sign-out"), &[]).await;
    assert_eq!(ann.get("/account").await.status, StatusCode::SEE_OTHER);

    // The server's own account is an admin, too; without it this one is the last.
    server
        .store
        .set_admin(&server.account, false)
        .await
        .unwrap();
    let own = format!("/admin/users/{}", root.id);
    let last = admin
        .submit(&own, &format!("{own}/role"), &[("role", "user")])
        .await;
    assert_eq!(last.location(), format!("{own}?done=last"));
    for unknown in ["/admin/users/user_nobody", "/admin/users/%00"] {
        assert_eq!(admin.get(unknown).await.status, StatusCode::NOT_FOUND);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_state_of_the_gateway_is_shown_without_its_secrets() {
    let upstream = Upstream::answering("One").await;
    let provider = upstream.provider("lab-a", "0", "0");
    let secret = "sk-provider-secret";
    let config = format!("public_url = \"https://gateway.example\"\n{provider}")
        .replace("[[providers.models]]", "[[providers.models]]")
        .replacen(
            "slug = \"lab-a\"",
            &format!("slug = \"lab-a\"\nheaders = {{ \"x-team\" = \"{secret}\" }}"),
            1,
        );
    let server = Server::alone(&config).await;
    let (_, admin) = server.person("root@example.com", true).await;
    let overview = admin.get("/admin").await.text();
    let providers = admin.get("/admin/providers").await.text();
    assert!(overview.contains("https://gateway.example") && overview.contains("people.sign_up"));
    assert!(providers.contains("lab-a") && providers.contains("OPENAI_API_KEY is not set"));
    for page in [&overview, &providers] {
        assert!(!page.contains(secret), "{page}");
    }
    let reloaded = admin.submit("/admin", "/admin/catalog/reload", &[]).await;
    assert!(
        reloaded.text().contains("The catalogue was read again"),
        "{}",
        reloaded.text()
    );
    server.stop().await;
}
