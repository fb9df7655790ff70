import CCurl
import Glibc
import Service

/// Hands a message to a mail server over SMTP (RFC 5321), with TLS from the start or by STARTTLS.
package struct MailSender: Sendable {
    package struct Configuration: Sendable {
        /// `smtps://HOST:465` or `smtp://HOST:587`.
        package var url: String
        package var user: String?
        package var password: String?
        package var caFile: String?
        /// Lets letters and the password go in the clear where the server offers no TLS.
        package var allowsPlain = false
        package var deadlineSeconds = 60

        package init(url: String) { self.url = url }
    }

    package let configuration: Configuration

    package init(_ configuration: Configuration) { self.configuration = configuration }

    /// Sends one message, headers and body with CRLF line ends, to all of `recipients` or to none.
    nonisolated(nonsending) package func send(
        _ message: [UInt8], from sender: String, to recipients: [String]
    ) async throws(MailError) {
        for address in [sender] + recipients where !Self.isAddress(address) {
            throw .badAddress(address)
        }
        let configuration = configuration
        let outcome = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<Void, MailError>, Never>) in
            _ = NativeThread.start("mail") {
                continuation.resume(
                    returning: Letter(message).send(configuration, from: sender, to: recipients))
            }
        }
        try outcome.get()
    }

    /// What SMTP can carry without quoting, and nothing that ends a command.
    package static func isAddress(_ text: String) -> Bool {
        let sides = text.split(separator: "@", omittingEmptySubsequences: false)
        return text.utf8.count <= 254 && sides.count == 2 && sides.allSatisfy { !$0.isEmpty }
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"<>\"\\,;()".utf8.contains($0) }
    }
}

package enum MailError: Error, Hashable, Sendable {
    case badAddress(String)
    /// The server's certificate is not good, or it offers no TLS.
    case notTrusted(String)
    /// It refused the log-in.
    case loginRefused
    case failed(String)

    /// For a log line; without the password, which no case holds.
    package var reason: String {
        switch self {
        case .badAddress(let address): "`\(address)` is no mail address"
        case .notTrusted(let why): "the mail server is not trusted: \(why)"
        case .loginRefused: "the mail server refused user or password"
        case .failed(let why): "the mail server did not take it: \(why)"
        }
    }
}

/// A message on its way; the thread that carries it alone touches it.
private final class Letter {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func send(
        _ configuration: MailSender.Configuration, from sender: String, to recipients: [String]
    ) -> Result<Void, MailError> {
        _ = HTTPClient.started
        guard let handle = curl_easy_init() else { return .failure(.failed(HTTPClient.unusable)) }
        defer { curl_easy_cleanup(handle) }
        var list: UnsafeMutablePointer<curl_slist>?
        for recipient in recipients { list = curl_slist_append(list, "<\(recipient)>") }
        defer { curl_slist_free_all(list) }
        kerb_curl_set_text(handle, CURLOPT_URL, configuration.url)
        kerb_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        kerb_curl_set_text(handle, CURLOPT_PROXY, "")
        kerb_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        kerb_curl_set_long(handle, CURLOPT_TIMEOUT_MS, configuration.deadlineSeconds * 1000)
        kerb_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, 10_000)
        kerb_curl_set_long(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        let tls = configuration.allowsPlain ? KERB_CURLUSESSL_TRY : KERB_CURLUSESSL_ALL
        kerb_curl_set_long(handle, CURLOPT_USE_SSL, tls)
        if let file = configuration.caFile {
            kerb_curl_set_text(handle, CURLOPT_CAINFO, file)
            kerb_curl_set_pointer(handle, CURLOPT_CAPATH, nil)
        }
        if let user = configuration.user { kerb_curl_set_text(handle, CURLOPT_USERNAME, user) }
        if let password = configuration.password {
            kerb_curl_set_text(handle, CURLOPT_PASSWORD, password)
        }
        kerb_curl_set_text(handle, CURLOPT_MAIL_FROM, "<\(sender)>")
        kerb_curl_set_pointer(handle, CURLOPT_MAIL_RCPT, list)
        kerb_curl_set_long(handle, CURLOPT_UPLOAD, 1)
        kerb_curl_set_size(handle, CURLOPT_INFILESIZE_LARGE, Int64(bytes.count))
        let context = Unmanaged.passUnretained(self).toOpaque()
        kerb_curl_set_file(handle, giveLetter, goOn, context)
        return withExtendedLifetime(self) { outcome(curl_easy_perform(handle)) }
    }

    private func outcome(_ code: CURLcode) -> Result<Void, MailError> {
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_OK: return .success(())
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE,
            CURLE_USE_SSL_FAILED:
            return .failure(.notTrusted(text))
        case CURLE_LOGIN_DENIED: return .failure(.loginRefused)
        default: return .failure(.failed(text))
        }
    }

    func give(_ room: UnsafeMutableRawBufferPointer) -> Int {
        let part = bytes[at...].prefix(room.count)
        room.copyBytes(from: part)
        at += part.count
        return part.count
    }
}

private func giveLetter(
    _ room: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    return Unmanaged<Letter>.fromOpaque(context).takeUnretainedValue().give(
        UnsafeMutableRawBufferPointer(start: room, count: size * count))
}

private func goOn(
    _ context: UnsafeMutableRawPointer?, _ a: curl_off_t, _ b: curl_off_t, _ c: curl_off_t,
    _ d: curl_off_t
) -> Int32 { 0 }
