import CCurl
import Glibc

/// One call on its way. After the hand-over only the client's thread touches it.
// @unchecked: handed from the caller to the thread through a lock, and never shared afterwards.
final class Transfer: @unchecked Sendable {
    typealias Outcome = Result<HTTPAnswer, HTTPCallError>

    /// A server whose head is larger is not one to talk to.
    static let longestHeadBytes = 65_536

    let id: UInt64
    let call: HTTPCall
    let host: String
    /// In milliseconds of the monotonic clock.
    let deadline: Int64
    private let rules: HostRules
    private let continuation: CheckedContinuation<Outcome, Never>
    private var fields: [HTTPField] = []
    private var headBytes = 0
    private var body: [UInt8] = []
    /// What our own callback refused, which curl only knows as an error of the callback.
    private var refusal: HTTPCallError?
    private var headerList: UnsafeMutablePointer<curl_slist>?

    init(
        id: UInt64, _ call: HTTPCall, host: String, deadline: Int64, _ rules: HostRules,
        _ continuation: CheckedContinuation<Outcome, Never>
    ) {
        self.id = id
        self.call = call
        self.host = host
        self.deadline = deadline
        self.rules = rules
        self.continuation = continuation
    }

    deinit { curl_slist_free_all(headerList) }

    func finish(_ outcome: Outcome) { continuation.resume(returning: outcome) }

    /// Sets a fresh handle up for this call. The handle keeps an unretained pointer to it.
    func prepare(
        _ handle: UnsafeMutableRawPointer, _ configuration: HTTPClient.Configuration,
        now: Int64
    ) {
        kerb_curl_set_text(handle, CURLOPT_URL, call.url)
        kerb_curl_set_text(
            handle, CURLOPT_PROTOCOLS_STR, rules.allowsPlain ? "http,https" : "https")
        // No redirect is followed and no proxy of the environment asked: both would lead past the
        // rules for addresses.
        kerb_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
        kerb_curl_set_text(handle, CURLOPT_PROXY, "")
        kerb_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        kerb_curl_set_long(
            handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        kerb_curl_set_long(handle, CURLOPT_TIMEOUT_MS, Int(max(1, deadline - now)))
        kerb_curl_set_long(
            handle, CURLOPT_CONNECTTIMEOUT_MS, configuration.connectTimeoutSeconds * 1000)
        kerb_curl_set_text(handle, CURLOPT_USERAGENT, "kerb")
        if let file = configuration.caFile {
            kerb_curl_set_text(handle, CURLOPT_CAINFO, file)
            kerb_curl_set_pointer(handle, CURLOPT_CAPATH, nil)
        }
        kerb_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, configuration.trustsAnybody ? 0 : 1)
        kerb_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, configuration.trustsAnybody ? 0 : 2)
        kerb_curl_set_long(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        setMethod(handle)
        setHeaders(handle)
        kerb_curl_set_callbacks(
            handle, takeHead, takeBody, openSocket, Unmanaged.passUnretained(self).toOpaque())
    }

    private func setMethod(_ handle: UnsafeMutableRawPointer) {
        switch call.method {
        case .get where call.body.isEmpty: kerb_curl_set_long(handle, CURLOPT_HTTPGET, 1)
        case .head: kerb_curl_set_long(handle, CURLOPT_NOBODY, 1)
        case .delete where call.body.isEmpty:
            kerb_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, call.method.rawValue)
        case .get, .post, .put, .patch, .delete:
            kerb_curl_set_body(handle, call.body, call.body.count)
            kerb_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, call.method.rawValue)
        }
    }

    private func setHeaders(_ handle: UnsafeMutableRawPointer) {
        var lines = call.headers.map { field in
            // curl's way to say a header whose value is empty.
            field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)"
        }
        // Without a colon's right side curl leaves its own headers out.
        let names = Set(call.headers.map { $0.name.lowercased() })
        for name in ["Expect", "Content-Type"] where !names.contains(name.lowercased()) {
            lines.append("\(name):")
        }
        for line in lines { headerList = curl_slist_append(headerList, line) }
        kerb_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headerList)
    }

    // MARK: What curl calls back

    func take(head line: UnsafeRawBufferPointer) -> Bool {
        headBytes += line.count
        guard headBytes <= Self.longestHeadBytes else {
            refusal = .broken("the answer's head is too long")
            return false
        }
        let text = String(decoding: line, as: UTF8.self)
        // An interim answer (100, 103) has a head of its own.
        if text.hasPrefix("HTTP/") { fields = [] }
        guard let colon = text.firstIndex(of: ":") else { return true }
        let value = text[text.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        fields.append(
            HTTPField(String(text[..<colon]), String(value.prefix { !$0.isNewline })))
        return true
    }

    func take(body bytes: UnsafeRawBufferPointer) -> Bool {
        guard body.count + bytes.count <= call.maxBodyBytes else {
            refusal = .bodyTooLarge
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    func open(_ address: UnsafePointer<curl_sockaddr>) -> curl_socket_t {
        // In place: the field is declared as the 16 bytes of IPv4 but holds IPv6's 28 as well.
        let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) ?? 0
        let refused = rules.refusal(
            (UnsafeRawPointer(address) + offset).assumingMemoryBound(to: sockaddr.self))
        if let refused {
            refusal = .forbidden("\(host) is \(refused)")
            return -1  // CURL_SOCKET_BAD
        }
        return socket(
            address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue),
            address.pointee.protocol)
    }

    func outcome(_ code: CURLcode, status: Int, now: Int64) -> Outcome {
        if code == CURLE_OK {
            return .success(HTTPAnswer(status: status, headers: fields, body: body))
        }
        if let refusal { return .failure(refusal) }
        let message = String(cString: curl_easy_strerror(code))
        let error: HTTPCallError =
            switch code {
            case CURLE_OPERATION_TIMEDOUT:
                now >= deadline - 50 ? .deadlinePassed : .notConnected(message)
            case CURLE_COULDNT_RESOLVE_HOST: .nameNotResolved
            case CURLE_COULDNT_CONNECT: .notConnected(message)
            case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR,
                CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM:
                .notTrusted(message)
            case CURLE_URL_MALFORMAT: .badCall(message)
            default: .broken(message)
            }
        return .failure(error)
    }
}

// The context is the transfer that is in the multi handle now, which its table keeps alive.

private func takeHead(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.take(head: UnsafeRawBufferPointer(start: bytes, count: count)) ? count : 0
}

private func takeBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.take(body: UnsafeRawBufferPointer(start: bytes, count: count)) ? count : 0
}

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype,
    _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let context, let address else { return -1 }
    return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().open(address)
}
