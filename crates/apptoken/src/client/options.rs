use super::AcquireTokenForClient;
use crate::issuer::Issuer;
use crate::request::TokenRequestHook;

/// # Rare options
///
/// What each option does to the token request and to the cache. *In the key*: a token got with one value is not served
/// for another, nor for none. Where an option is given twice, the last one counts. What is wrong with one is told when
/// the call is awaited, as [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), and nothing is sent.
///
/// | option | on the wire | in the key | kept token |
/// |---|---|---|---|
/// | [`tenant`](Self::tenant) | the endpoint's path | yes | served |
/// | [`correlation_id`](Self::correlation_id) | header `client-request-id` | no | served |
/// | [`force_refresh`](Self::force_refresh) | | no | passed over |
/// | [`claims`](Self::claims) | body `claims`, merged | no | passed over |
/// | [`refresh_if_token_sha256`](Self::refresh_if_token_sha256) | | no | passed over if it is that one |
/// | [`claims_from_client`](Self::claims_from_client) | body `claims`, merged | yes, normalised | served |
/// | [`extra_query_parameter`](Self::extra_query_parameter) | the endpoint's query | yes | served |
/// | [`extra_query_parameter_not_in_key`](Self::extra_query_parameter_not_in_key) | the endpoint's query | no | served |
/// | [`extra_body_parameter`](Self::extra_body_parameter) | body | yes | served |
/// | [`extra_header`](Self::extra_header) | header | no | served |
/// | [`fmi_path`](Self::fmi_path) | body `fmi_path` | yes | served |
/// | [`fmi_path_for_client_assertion`](Self::fmi_path_for_client_assertion) | what the assertion callback makes of it | yes | served |
/// | [`extra_client_assertion_claims`](Self::extra_client_assertion_claims) | inside the assertion | yes, normalised | served |
/// | [`send_x5c`](Self::send_x5c) | the assertion's header | no | served |
/// | [`attributes`](Self::attributes) | body `attributes` | yes | served |
/// | [`attribute_tokens`](Self::attribute_tokens) | body `attribute_tokens` | yes, sorted | served |
/// | [`cache_partition_key`](Self::cache_partition_key) | | yes | served |
/// | [`mtls_proof_of_possession`](Self::mtls_proof_of_possession) | body `token_type=mtls_pop`, certificate on TLS | the certificate's SHA-256 | served |
/// | [`bound_to`](Self::bound_to), [`signed_http_request`](Self::signed_http_request) | body `token_type=pop`, `req_cnf` | the key's id | served |
/// | [`on_before_token_request`](Self::on_before_token_request) | what the hook adds | the hook's name | served |
/// | [`associated_with_certificate`](Self::associated_with_certificate) | | the certificate's SHA-256 | served |
/// | [`region`](Self::region) | the endpoint's host | no | served |
/// | [`timeout`](Self::timeout) | | no | served |
///
/// Of the client's own settings, [`client_capabilities`](crate::ConfidentialClientBuilder::client_capabilities) are
/// merged into the body's `claims` and [`extra_query_parameter`](crate::ConfidentialClientBuilder::extra_query_parameter)
/// into the query, for all tokens alike.
///
/// When the kept token is served depends on force, claims and hash together, as in MSAL:
///
/// | `force_refresh` | `claims` | `refresh_if_token_sha256` | |
/// |---|---|---|---|
/// | yes | any | no | asks |
/// | yes | any | yes | refused: they contradict each other |
/// | no | yes | no | asks |
/// | no | yes | that of the kept token | asks, with the claims |
/// | no | yes | another's | serves the kept token, which is newer |
/// | no | no | that of the kept token | asks |
/// | no | no | another's, or none | serves the kept token |
impl AcquireTokenForClient<'_> {
    /// Claims that the program itself wants in its token, a JSON object. Unlike a [challenge](Self::claims) they are asked
    /// for every time, so the token is kept, under a key of its own. Blank text is none.
    pub fn claims_from_client(mut self, claims: impl AsRef<str>) -> Self {
        self.options().claims_from_client(claims.as_ref());
        self
    }

    /// One more parameter in the query of the token request. Names of standard fields are refused.
    pub fn extra_query_parameter(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options().query(name.as_ref(), value.as_ref(), true);
        self
    }

    /// The same for one that does not change the token, such as a hint for routing: whatever its value, the same token
    /// is served.
    pub fn extra_query_parameter_not_in_key(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options().query(name.as_ref(), value.as_ref(), false);
        self
    }

    /// One more field in the body of the token request. Names of standard fields are refused. The value stays in memory
    /// as part of the key: no place for a secret.
    pub fn extra_body_parameter(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options().body(name.as_ref(), value.as_ref());
        self
    }

    /// One more header of the token request, if this call is the one that asks. Headers that this library sets, that
    /// frame the message or that prove who sends it are refused.
    pub fn extra_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options().header(name.as_ref(), value.as_ref());
        self
    }

    /// Lets `hook` add to the token request what is known only when it is sent, such as a nonce, if this call is the one that
    /// asks. It runs once for each token request, before the first try; several run in the order in which they were given.
    /// The name stands for what it does to the token: a token got under one name is not served for another, nor for none.
    ///
    /// ```no_run
    /// # async fn example(client: apptoken::ConfidentialClient) -> Result<(), apptoken::Error> {
    /// # async fn nonce(_: &str) -> Result<String, std::io::Error> { Ok(String::new()) }
    /// use apptoken::BeforeTokenRequest;
    ///
    /// let call = client.acquire_token_for_client("api://todolist/.default");
    /// let token = call
    ///     .on_before_token_request("nonce", |request: BeforeTokenRequest| async move {
    ///         let nonce = nonce(request.token_endpoint()).await?;
    ///         Ok::<_, std::io::Error>(request.header("x-nonce", nonce))
    ///     })
    ///     .await?;
    /// # let _ = token; Ok(()) }
    /// ```
    pub fn on_before_token_request(mut self, name: impl AsRef<str>, hook: impl TokenRequestHook) -> Self {
        self.options().hook(name.as_ref(), hook);
        self
    }

    /// A bearer token that is kept together with the certificate that the client proves itself by now: when that is
    /// replaced, another token is got. For a client whose certificate is known beforehand, not one that a callback gives.
    pub fn associated_with_certificate(mut self) -> Self {
        let certificate = match &self.client.issuer {
            Issuer::Authority(app) => app.credential.current().binding(&*self.client.clock),
            Issuer::ManagedIdentity(_) => Ok(None),
        };
        let x5t_s256 = certificate.map(|certificate| certificate.map(|certificate| certificate.leaf().x5t_s256()));
        self.options().associated_with(x5t_s256);
        self
    }

    /// The region whose endpoint is asked, if this call is the one that asks, in place of the client's own: see
    /// [`ConfidentialClientBuilder::region`](crate::ConfidentialClientBuilder::region).
    pub fn region(mut self, region: impl AsRef<str>) -> Self {
        self.options().region(region.as_ref());
        self
    }

    /// The path of a federated managed identity (FMI) that the token is to be for: of an agent, below its blueprint.
    pub fn fmi_path(mut self, path: impl AsRef<str>) -> Self {
        self.options().fmi_path(path.as_ref());
        self
    }

    /// The path of a federated managed identity that the assertion callback is told
    /// ([`AssertionRequest::fmi_path`](crate::AssertionRequest::fmi_path)), for a first leg that needs it.
    pub fn fmi_path_for_client_assertion(mut self, path: impl AsRef<str>) -> Self {
        self.options().assertion_fmi_path(path.as_ref());
        self
    }

    /// Claims, a JSON object, that the assertion of this request carries besides its own and the
    /// [builder's](crate::ConfidentialClientBuilder::assertion_claims), if the client signs it with a certificate.
    pub fn extra_client_assertion_claims(mut self, json: impl AsRef<str>) -> Self {
        self.options().assertion_claims(json.as_ref());
        self
    }

    /// Whether the certificate's chain goes with the assertion of this request, if this call is the one that asks.
    /// Default: as the [builder](crate::ConfidentialClientBuilder::send_x5c) says.
    pub fn send_x5c(mut self, send: bool) -> Self {
        self.options().send_x5c = Some(send);
        self
    }

    /// Attributes that the token is to carry, a JSON object.
    pub fn attributes(mut self, json: impl AsRef<str>) -> Self {
        self.options().attributes(json.as_ref());
        self
    }

    /// Tokens that vouch for attributes. Blanks and repetitions are dropped and their order does not matter; an empty
    /// list is none.
    pub fn attribute_tokens(mut self, tokens: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.options().attribute_tokens(tokens);
        self
    }

    /// Keeps the token apart from those of the same tenant and scope with another value, or none, under this name.
    pub fn cache_partition_key(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.options().partition(name.as_ref(), value.as_ref());
        self
    }
}
