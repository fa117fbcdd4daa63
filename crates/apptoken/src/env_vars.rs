//! Every environment variable that this library reads, and by whom it is set. All are read when a client is built, none
//! later; `HTTPS_PROXY`, `NO_PROXY` and the like are the HTTP library's.

/// The app's client id, or a user-assigned identity's. Set by the workload identity webhook on Kubernetes, or by hand.
pub const AZURE_CLIENT_ID: &str = "AZURE_CLIENT_ID";
/// The tenant. Set by the workload identity webhook on Kubernetes, or by hand.
pub const AZURE_TENANT_ID: &str = "AZURE_TENANT_ID";
/// The cloud's sign-in host, for example `https://login.microsoftonline.us/`. Set by the workload identity webhook on
/// Kubernetes, or by hand; the public cloud's if absent.
pub const AZURE_AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
/// A client secret. Set by hand.
pub const AZURE_CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
/// A certificate with its key, a PFX or PEM file. Set by hand.
pub const AZURE_CLIENT_CERTIFICATE_PATH: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
/// The password of the PFX file, or of the PEM file's encrypted key. Set by hand.
pub const AZURE_CLIENT_CERTIFICATE_PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";
/// `true` or `1`: the certificate's chain is sent (`x5c`). Set by hand.
pub const AZURE_CLIENT_SEND_CERTIFICATE_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
/// The file with the service account's token. Set by the workload identity webhook on Kubernetes.
pub const AZURE_FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// The region whose endpoint every client asks that names none itself, or `TryAutoDetect`. Set by hand, as for MSAL.
pub const MSAL_FORCE_REGION: &str = "MSAL_FORCE_REGION";
/// No client asks a regional endpoint, unless this is `false` or `0`. Set by hand, as for MSAL.
pub const MSAL_DISABLE_REGION: &str = "MSAL_DISABLE_REGION";
/// The region that the program runs in. Set by App Service, Functions and other platforms.
pub const REGION_NAME: &str = "REGION_NAME";

/// Where a job asks for its identity token. Set by GitHub Actions for jobs with the permission `id-token: write`.
pub const ACTIONS_ID_TOKEN_REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// What it shows there: a secret. Set with [`ACTIONS_ID_TOKEN_REQUEST_URL`].
pub const ACTIONS_ID_TOKEN_REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// Where a job asks for a service connection's identity token. Set by Azure Pipelines.
pub const SYSTEM_OIDCREQUESTURI: &str = "SYSTEM_OIDCREQUESTURI";
/// What it shows there: a secret. Azure Pipelines knows it as `$(System.AccessToken)`; a step maps it by hand.
pub const SYSTEM_ACCESSTOKEN: &str = "SYSTEM_ACCESSTOKEN";

/// The platform's identity endpoint. Set by App Service, Functions, Container Apps, Service Fabric and Azure Arc.
pub const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
/// What is shown there: a secret. Set by App Service, Functions, Container Apps and Service Fabric.
pub const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
/// The thumbprint of that endpoint's certificate. Set by Service Fabric.
pub const IDENTITY_SERVER_THUMBPRINT: &str = "IDENTITY_SERVER_THUMBPRINT";
/// The instance-metadata endpoint. Set by Azure Arc; tells it from the others.
pub const IMDS_ENDPOINT: &str = "IMDS_ENDPOINT";
/// The platform's identity endpoint, old name. Set by Cloud Shell and Machine Learning.
pub const MSI_ENDPOINT: &str = "MSI_ENDPOINT";
/// What is shown there: a secret. Set by Machine Learning.
pub const MSI_SECRET: &str = "MSI_SECRET";
/// The client id of the compute's own identity. Set by Machine Learning.
pub const DEFAULT_IDENTITY_CLIENT_ID: &str = "DEFAULT_IDENTITY_CLIENT_ID";
/// Another base address for the instance-metadata service. Set by hand, for a local one.
pub const AZURE_POD_IDENTITY_AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// The folder under which programs are installed. Set by Windows; read there to find Azure Arc's agent.
pub const PROGRAM_FILES: &str = "ProgramFiles";
/// The folder for the data of all users. Set by Windows; read there to find Azure Arc's key files.
pub const PROGRAM_DATA: &str = "ProgramData";
