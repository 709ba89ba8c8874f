//! Two makers of authenticators: a root each, and the certificate and key with which their first model attests what it registers
//! (WebAuthn §8.2.1). They bear the same names. Valid from 2020 to 2098; all of it is public.

/// The model that both claim to be.
pub const MODEL: &str = "7d1351f2-0a9e-4c0e-8a31-5fd12b6c9001";

/// What an authenticator attests with.
pub struct Maker {
    /// The root of its maker: base64 of DER.
    pub root: &'static str,
    /// The certificate of its batch, the same.
    pub leaf: &'static str,
    /// The key of that: base64 of PKCS#8.
    pub key: &'static str,
}

/// The one whose models are bought.
pub const MAKER: Maker = Maker {
    root: "MIIBiDCCAS6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MQswCQYDVQQGEwJBVDEcMBoGA1UECgwTQXV0aGVudGljYXRvciBNYWtlcjENMAsGA1UEAwwE\
        Um9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk4MDEwMTAwMDAwMFowOjELMAkGA1UEBhMCQVQxHDAaBgNVBAoME0F1dGhlbnRpY2F0b3IgTWFrZXIx\
        DTALBgNVBAMMBFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARp48u9yUEmmQUGhTyV6hodkw/QHGk9aMHuK/0STu8HGr79/yYBHEYCZXVt\
        jdNdIhyIQWU/7UxVxQjCSaUnTp/ooyMwITAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNIADBFAiAQGzEucc6H\
        dMxxva7nHOA6iI15DvRYg0Th5SBHS01YaAIhAJy0EX9UJSPwuX5bku24zI1YE223c533jkdAWN1mAxEr",
    leaf: "MIIBwTCCAWegAwIBAgIBTTAKBggqhkjOPQQDAjA6MQswCQYDVQQGEwJBVDEcMBoGA1UECgwTQXV0aGVudGljYXRvciBNYWtlcjENMAsGA1UEAwwE\
        Um9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk4MDEwMTAwMDAwMFowYzELMAkGA1UEBhMCQVQxHDAaBgNVBAoME0F1dGhlbnRpY2F0b3IgTWFrZXIx\
        IjAgBgNVBAsMGUF1dGhlbnRpY2F0b3IgQXR0ZXN0YXRpb24xEjAQBgNVBAMMCU1vZGVsIE9uZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOnX\
        qj60RE5ll6XHLU5+/mrAuc1vqeoH8JkM7mehfbcYDP6suPZLasJ+pofPBUwWkhWTfs8BMGioj1y/l6sf3cWjMzAxMAwGA1UdEwEB/wQCMAAwIQYL\
        KwYBBAGC5RwBAQQEEgQQfRNR8gqeTA6KMV/RK2yQATAKBggqhkjOPQQDAgNIADBFAiEAohnKmjHuCVNLevOwViZ/VfRrJTh2oY1IbpzscIid3OAC\
        IExLJhKDV3LRmtfFGru4rT4XRuShiHTgJ7v1vlTz571t",
    key: "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwUNL8DQ/Wk1X1aGiWY43utu9nyhGGETX3ZtyWLBjs5+hRANCAATp16o+tEROZZel\
        xy1Ofv5qwLnNb6nqB/CZDO5noX23GAz+rLj2S2rCfqaHzwVMFpIVk37PATBoqI9cv5erH93F",
};

/// Somebody who made certificates at home.
pub const STRANGER: Maker = Maker {
    root: "MIIBhzCCAS6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MQswCQYDVQQGEwJBVDEcMBoGA1UECgwTQXV0aGVudGljYXRvciBNYWtlcjENMAsGA1UEAwwE\
        Um9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk4MDEwMTAwMDAwMFowOjELMAkGA1UEBhMCQVQxHDAaBgNVBAoME0F1dGhlbnRpY2F0b3IgTWFrZXIx\
        DTALBgNVBAMMBFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARKzGZ8Am7ygCcQcUG4V3tzzI4K1KZYSUkYmqJEHvxIKG1qhvjxdKmRaf+y\
        jh0PuqcDvGkG+1auYtJCFbIV1aSzoyMwITAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNHADBEAiBtJ8sOwCPW\
        8WRBh7Olr3lHTY28XPu4WaQk8wPau2r8wgIgKbwSOcQeBnUnyZ/LMQZ+Li39iXwPCqKunhwy7XgILLY=",
    leaf: "MIIBwTCCAWegAwIBAgIBTTAKBggqhkjOPQQDAjA6MQswCQYDVQQGEwJBVDEcMBoGA1UECgwTQXV0aGVudGljYXRvciBNYWtlcjENMAsGA1UEAwwE\
        Um9vdDAgFw0yMDAxMDEwMDAwMDBaGA8yMDk4MDEwMTAwMDAwMFowYzELMAkGA1UEBhMCQVQxHDAaBgNVBAoME0F1dGhlbnRpY2F0b3IgTWFrZXIx\
        IjAgBgNVBAsMGUF1dGhlbnRpY2F0b3IgQXR0ZXN0YXRpb24xEjAQBgNVBAMMCU1vZGVsIE9uZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNRI\
        qccKSXxGB61MfUq95pMUkQxr11QITDXjvJhD4W9Vcq7Brc3eDyD3xSnj6TL61EDe4AOvnXCL2q/YJv8C1VqjMzAxMAwGA1UdEwEB/wQCMAAwIQYL\
        KwYBBAGC5RwBAQQEEgQQfRNR8gqeTA6KMV/RK2yQATAKBggqhkjOPQQDAgNIADBFAiEAnuwcMU0077hWxtoQtkaLIvQuvtWsHzyewGdej6gwCoMC\
        IBDNkJ5Kd5a8f/Nim/Clbc2aZH8fhkxFAMwEYKQDgryv",
    key: "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwagKymU2KhHE/XruwM680YwVprrrCQztrpQPCoAsY5+hRANCAATUSKnHCkl8Rget\
        TH1KveaTFJEMa9dUCEw147yYQ+FvVXKuwa3N3g8g98Up4+ky+tRA3uADr51wi9qv2Cb/AtVa",
};
