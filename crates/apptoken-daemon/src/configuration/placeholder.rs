//! Values that a template, a tutorial or a deployment script left for someone to replace.

/// Whether `value`, of a key that holds no secret, is or contains something to be replaced.
///
/// None of these can be part of a client id, a tenant, a URL, a scope or a path that works.
pub(super) fn in_value(value: &str) -> bool {
    let lower = value.trim().to_lowercase();
    whole(&lower)
        || (lower.starts_with('[') && lower.ends_with(']'))
        || lower.contains("[enter")
        || lower.contains("enter_the_")
        || begins_a_word(&lower, "your_")
        || lower.contains("your-tenant")
        || lower.contains("your-client")
        || lower.contains("{your")
        || lower.contains("{tenant}")
        || lower.contains("{tenantid}")
        || lower.contains("{tenant-id}")
        || lower.contains('…')
        || lower.contains("xxxxxxxx-xxxx")
        || lower == "00000000-0000-0000-0000-000000000000"
        || lower.split_once('<').is_some_and(|(_, rest)| rest.contains('>'))
        || ["${", "#{", "$("].iter().any(|opening| lower.contains(opening))
}

/// Whether a secret as a whole is plainly none. A real one may hold any of these characters, and a poor one may be
/// `changeme`, so only a template's own patterns that span the value count.
pub(super) fn in_secret(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_lowercase();
    let spanned = |open: &str, close: &str| lower.starts_with(open) && lower.ends_with(close);
    let worded = ["enter", "your", "secret", "password", "client", "value", "certificate", "base64"];
    matches!(value, "…" | "...")
        || spanned("[enter", "]")
        || (spanned("<", ">") && worded.iter().any(|word| lower.contains(word)))
        || lower.starts_with("enter_the_")
        || (value.starts_with("YOUR_") && !value.contains(char::is_lowercase))
        || spanned("${", "}")
        || spanned("#{", "}#")
        || spanned("$(", ")")
}

/// Whether `part` occurs other than within or at the end of a word, as `your_` does in `fouryour_x`.
fn begins_a_word(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

fn whole(lower: &str) -> bool {
    matches!(lower, "…" | "..." | "todo" | "tbd" | "changeme" | "change_me" | "placeholder" | "xxx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_known() {
        for value in [
            "[Enter here the tenantID or domain name for your Azure AD tenant]",
            "Enter_the_Application_Id_Here",
            "api://<API_APPLICATION_ID>/.default",
            "YOUR_CLIENT_ID",
            "INSERT_YOUR_CLIENT_ID",
            "api://your_api/.default",
            "https://login.microsoftonline.com/YOUR_TENANT_ID",
            "<your-tenant-id>",
            "{your tenant id}",
            "…",
            "...",
            "api://…/.default",
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "00000000-0000-0000-0000-000000000000",
            "${AZURE_CLIENT_ID}",
            "#{ClientId}#",
            "$(ClientId)",
            "[Application (client) ID]",
        ] {
            assert!(in_value(value), "{value}");
        }
    }

    #[test]
    fn real_values_are_not() {
        for value in [
            "00001111-aaaa-2222-bbbb-3333cccc4444",
            "contoso.onmicrosoft.com",
            "https://login.microsoftonline.com/",
            "https://localhost:44372/",
            "http://[::1]:8080/",
            "api://todolist/.default",
            "https://yourkit.example/api",
            "/etc/parlyour_certificates/daemon.pfx",
            "https://contoso.onmicrosoft.com/my-api",
            "api/items?$filter=name eq 'x'",
        ] {
            assert!(!in_value(value), "{value}");
        }
    }

    #[test]
    fn secrets_are_judged_as_a_whole() {
        for value in [
            "[Enter here a client secret]",
            "<client-secret>",
            "Enter_the_Client_Secret_Here",
            "YOUR_SECRET",
            "${CLIENT_SECRET}",
            "…",
        ] {
            assert!(in_secret(value), "{value}");
        }
        for value in [
            "abc8Q~x_y.z-<q>[r]{s}",
            "[k8Q~zzz]",
            "<a1b2>",
            "yourself~8Q~",
            "changeme",
            "ChangeMe",
            "todo",
            "your_dog_is_brown",
            "YOUR_dog8Q~",
            "[my secret]",
            "{client}",
        ] {
            assert!(!in_secret(value), "{value}");
        }
    }
}
