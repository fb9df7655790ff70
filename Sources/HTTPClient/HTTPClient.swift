import CCurl
import Service
import Synchronization

/// Calls other parties' servers: many at once, none delaying another.
///
/// One thread drives all transfers. Each host has its own bound and its own waiting line, so that
/// a peer that is down costs nobody else a second.
package final class HTTPClient: Sendable {
    package struct Configuration: Sendable {
        package var rules: HostRules
        /// A PEM file of certificate authorities instead of the system's.
        package var caFile: String?
        /// Talks to whoever answers. Only to fetch what is checked by other means before it is believed,
        /// and never to send a secret.
        package var trustsAnybody = false
        package var connectTimeoutSeconds = 5
        /// Calls in flight to one host; more wait.
        package var connectionsPerHost = 8
        package var connectionsInAll = 500
        /// Calls waiting or in flight; more are refused with `.queueFull`.
        package var callsPerHost = 1000
        package var callsInAll = 10_000

        package init(rules: HostRules = .strict, caFile: String? = nil) {
            self.rules = rules
            self.caFile = caFile
        }
    }

    /// More time than any answer is worth.
    package static let longestDeadlineSeconds = 3600

    package let configuration: Configuration
    private let inbox: Lock<TransferThread.Inbox>
    private let nextID = Atomic<UInt64>(1)

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        _ = Self.started
        guard let multi = curl_multi_init() else {
            preconditionFailure(Self.unusable)
        }
        // The address goes to the new thread, which alone uses it; callers only wake it up.
        nonisolated(unsafe) let handle = multi
        let inbox = Lock(TransferThread.Inbox(multi: handle))
        self.inbox = inbox
        _ = NativeThread.start("http client") {
            TransferThread(configuration, inbox, handle).run()
        }
    }

    deinit { stop() }

    /// Sends the call and waits for the whole answer. Redirects are answers, they are not followed.
    ///
    /// Cancelling the task aborts the transfer.
    nonisolated(nonsending) package func call(
        _ call: HTTPCall
    ) async throws(HTTPCallError) -> HTTPAnswer {
        let host = try checked(call)
        let id = nextID.add(1, ordering: .relaxed).oldValue
        let deadline =
            SystemClock().monotonicMilliseconds + Int64(call.deadlineSeconds) * 1000
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                hand(
                    Transfer(
                        id: id, call, host: host, deadline: deadline, configuration.rules,
                        continuation))
            }
        } onCancel: {
            send(.cancel(id))
        }
        return try outcome.get()
    }

    /// Fails every call that waits or is in flight with `.stopped` and ends the thread.
    package func stop() {
        inbox.withLock { inbox in
            inbox.isStopped = true
            Self.wake(inbox)
        }
    }

    private func hand(_ transfer: Transfer) {
        let (most, mostPerHost) = (configuration.callsInAll, configuration.callsPerHost)
        let refusal = inbox.withLock { inbox -> HTTPCallError? in
            if inbox.isStopped { return .stopped }
            // Asked under the lock: an order to cancel comes either before this or after `.start`.
            if Task.isCancelled { return .cancelled }
            let here = inbox.perHost[transfer.host, default: 0]
            if here >= mostPerHost || inbox.inAll >= most { return .queueFull }
            inbox.perHost[transfer.host] = here + 1
            inbox.inAll += 1
            inbox.commands.append(.start(transfer))
            Self.wake(inbox)
            return nil
        }
        if let refusal { transfer.finish(.failure(refusal)) }
    }

    private func send(_ command: TransferThread.Command) {
        inbox.withLock { inbox in
            guard !inbox.isStopped else { return }
            inbox.commands.append(command)
            Self.wake(inbox)
        }
    }

    private static func wake(_ inbox: TransferThread.Inbox) {
        if let multi = inbox.multi { curl_multi_wakeup(multi) }
    }

    static let started: Void = { _ = curl_global_init(Int(CURL_GLOBAL_ALL)) }()

    /// Why libcurl gave no handle.
    static var unusable: String {
        kerb_curl_missing().map { String(cString: $0) } ?? "out of memory"
    }
}

// MARK: Is the call usable?

extension HTTPClient {
    /// The host and port that the call goes to.
    private func checked(_ call: HTTPCall) throws(HTTPCallError) -> String {
        guard (1...Self.longestDeadlineSeconds).contains(call.deadlineSeconds),
            call.maxBodyBytes >= 0
        else { throw .badCall("a deadline or limit that makes no sense") }
        for field in call.headers {
            let isToken = !field.name.isEmpty && field.name.utf8.allSatisfy(Self.isTokenByte)
            let isClean = field.value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
            guard isToken, isClean else { throw .badCall("a header with a forbidden character") }
        }
        guard !call.url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw .badCall("the URL has a blank or control character")
        }
        guard let url = curl_url() else { throw .broken(Self.unusable) }
        defer { curl_url_cleanup(url) }
        guard curl_url_set(url, CURLUPART_URL, call.url, 0) == CURLUE_OK,
            let scheme = Self.part(url, CURLUPART_SCHEME),
            let host = Self.part(url, CURLUPART_HOST)
        else { throw .badCall("not an absolute URL") }
        guard Self.part(url, CURLUPART_USER) == nil else {
            throw .badCall("the URL names a user")
        }
        guard scheme == "https" || scheme == "http" && configuration.rules.allowsPlain else {
            throw .forbidden("\(scheme) URLs")
        }
        let port = Self.part(url, CURLUPART_PORT) ?? (scheme == "https" ? "443" : "80")
        return "\(host.lowercased()):\(port)"
    }

    static func part(_ url: OpaquePointer, _ what: CURLUPart) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard kerb_curl_url_get(url, what, &text, 0) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
