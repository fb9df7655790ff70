import CCurl
import Glibc
import Service
import Synchronization

/// One transfer under way: the thread that carries it, and a flag by which others end it.
// @unchecked: all but the flag is touched by the transfer's thread alone.
final class FileCarrier: @unchecked Sendable {
    private let rules: FileTransfer.Rules
    private let isCancelled = Atomic<Bool>(false)
    private var handle: UnsafeMutableRawPointer?
    private var descriptor: Int32 = -1
    private var path = ""
    private var written: Int64 = 0
    private var limit = Int64.max
    private var tag: String?
    private var tagged: ((String?) -> Void)?
    private var headBytes = 0
    /// FTP's status numbers mean something else.
    private var isHTTP = false
    private var hostRules = HostRules.strict
    /// What our own callback refused, which curl only knows as an error of the callback.
    private var refusal: FileTransferError?

    init(rules: FileTransfer.Rules) { self.rules = rules }

    func cancel() { isCancelled.store(true, ordering: .relaxed) }

    // MARK: Down

    func download(
        _ url: String, to path: String, limitBytes: Int64, resuming tag: String?,
        tagged: @escaping (String?) -> Void
    ) throws(FileTransferError) {
        self.tagged = tagged
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW
        descriptor = Glibc.open(path, flags, 0o600)
        guard descriptor >= 0 else { throw .file(FileError(path, errno: errno)) }
        defer { close(descriptor) }
        self.path = path
        limit = limitBytes
        let there = tag == nil ? 0 : Int64(lseek(descriptor, 0, SEEK_END))
        try start(at: there)
        var place = url
        for _ in 0...rules.redirects {
            let answer = try fetch(place, resuming: there > 0 ? tag : nil)
            switch answer.status {
            case 0..<300:
                guard fsync(descriptor) == 0 else { throw .file(FileError(path, errno: errno)) }
                return
            case 300..<400:
                guard let next = answer.redirect else {
                    throw .refused(status: answer.status)
                }
                place = next
            default: throw .refused(status: answer.status)
            }
        }
        throw .failed("redirected too often")
    }

    /// Keeps the first `offset` bytes of the file.
    private func start(at offset: Int64) throws(FileTransferError) {
        guard ftruncate(descriptor, off_t(offset)) == 0,
            lseek(descriptor, off_t(offset), SEEK_SET) == off_t(offset)
        else { throw .file(FileError(path, errno: errno)) }
        written = offset
    }

    private func fetch(
        _ url: String, resuming tag: String?
    ) throws(FileTransferError) -> (status: Int, redirect: String?) {
        let offset = tag == nil ? 0 : written
        let code = try perform(url) { handle, headers in
            if let tag, offset > 0 {
                kerb_curl_set_size(handle, CURLOPT_RESUME_FROM_LARGE, offset)
                headers.append("If-Range: \(tag)")
            }
        }
        // The place has another file by now, or cannot give parts: from the start.
        if offset > 0, code.error == CURLE_RANGE_ERROR || code.status == 416 {
            try start(at: 0)
            return try fetch(url, resuming: nil)
        }
        if let error = failure(code.error) { throw error }
        return (code.status, code.redirect)
    }

    // MARK: Up

    func upload(_ path: String, to url: String) throws(FileTransferError) {
        descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw .file(FileError(path, errno: errno)) }
        defer { close(descriptor) }
        self.path = path
        let size = Int64(lseek(descriptor, 0, SEEK_END))
        var status = try send(url, size, isPost: false)
        if isHTTP, [404, 405, 501].contains(status) {
            status = try send(url, size, isPost: true)
        }
        guard status < 300 else { throw .refused(status: status) }
    }

    private func send(_ url: String, _ size: Int64, isPost: Bool) throws(FileTransferError) -> Int {
        guard lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw .file(FileError(path, errno: errno))
        }
        let code = try perform(url) { handle, headers in
            if isPost {
                kerb_curl_set_long(handle, CURLOPT_POST, 1)
                kerb_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, size)
            } else {
                kerb_curl_set_long(handle, CURLOPT_UPLOAD, 1)
                kerb_curl_set_size(handle, CURLOPT_INFILESIZE_LARGE, size)
            }
            headers += ["Expect:", "Content-Type: application/octet-stream"]
        }
        if let error = failure(code.error) { throw error }
        return code.status
    }

    // MARK: One curl call

    private struct Code {
        var error: CURLcode
        var status: Int
        var redirect: String?
    }

    private func perform(
        _ url: String, _ prepare: (UnsafeMutableRawPointer, inout [String]) -> Void
    ) throws(FileTransferError) -> Code {
        _ = HTTPClient.started
        isHTTP = try judge(url)
        guard let handle = curl_easy_init() else { throw .failed(HTTPClient.unusable) }
        self.handle = handle
        defer {
            self.handle = nil
            curl_easy_cleanup(handle)
        }
        (refusal, headBytes, tag) = (nil, 0, nil)
        setUp(handle, url)
        var lines: [String] = []
        prepare(handle, &lines)
        var list: UnsafeMutablePointer<curl_slist>?
        if isHTTP { for line in lines { list = curl_slist_append(list, line) } }
        defer { curl_slist_free_all(list) }
        kerb_curl_set_pointer(handle, CURLOPT_HTTPHEADER, list)
        let context = Unmanaged.passUnretained(self).toOpaque()
        kerb_curl_set_callbacks(handle, takeHead, takeBytes, openSocket, context)
        kerb_curl_set_file(handle, giveBytes, mayGoOn, context)
        let error = curl_easy_perform(handle)
        return Code(
            error: error, status: isHTTP ? kerb_curl_status(handle) : 0,
            redirect: kerb_curl_redirect(handle).map { String(cString: $0) })
    }

    private func setUp(_ handle: UnsafeMutableRawPointer, _ url: String) {
        kerb_curl_set_text(handle, CURLOPT_URL, url)
        kerb_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps")
        kerb_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
        kerb_curl_set_text(handle, CURLOPT_PROXY, "")
        kerb_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        kerb_curl_set_long(handle, CURLOPT_TIMEOUT_MS, rules.deadlineSeconds * 1000)
        kerb_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, rules.connectSeconds * 1000)
        kerb_curl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1)
        kerb_curl_set_long(handle, CURLOPT_LOW_SPEED_TIME, rules.silenceSeconds)
        kerb_curl_set_text(handle, CURLOPT_USERAGENT, "kerb")
        kerb_curl_set_long(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        if let file = rules.caFile {
            kerb_curl_set_text(handle, CURLOPT_CAINFO, file)
            kerb_curl_set_pointer(handle, CURLOPT_CAPATH, nil)
        }
        // Data connections of FTP go to the host of the control connection, whatever it says.
        kerb_curl_set_long(handle, CURLOPT_FTP_SKIP_PASV_IP, 1)
        if !hostRules.allowsPlain {
            kerb_curl_set_long(handle, CURLOPT_USE_SSL, KERB_CURLUSESSL_ALL)
        }
    }

    /// Whether the rules allow this place; true for HTTP, false for FTP.
    private func judge(_ text: String) throws(FileTransferError) -> Bool {
        guard text.utf8.count <= 2048,
            !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F })
        else { throw .badURL("a blank, a control character, or too long") }
        guard let url = curl_url() else { throw .failed(HTTPClient.unusable) }
        defer { curl_url_cleanup(url) }
        guard curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK,
            let scheme = HTTPClient.part(url, CURLUPART_SCHEME),
            let host = HTTPClient.part(url, CURLUPART_HOST)
        else { throw .badURL("not an absolute URL") }
        guard ["http", "https", "ftp", "ftps"].contains(scheme) else {
            throw .badURL("\(scheme) carries no files here")
        }
        if rules.hosts.isEmpty {
            hostRules = .strict
        } else {
            guard rules.hosts.contains(host.lowercased()) else {
                throw .forbidden("\(host) is not among the hosts of the configuration")
            }
            hostRules = .open
        }
        guard hostRules.allowsPlain || scheme.hasSuffix("s") else {
            throw .forbidden("\(scheme) without TLS to a host the configuration does not name")
        }
        return scheme.hasPrefix("http")
    }

    private func failure(_ code: CURLcode) -> FileTransferError? {
        if code == CURLE_OK { return nil }
        if let refusal { return refusal }
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case CURLE_ABORTED_BY_CALLBACK: return .cancelled
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CACERT_BADFILE,
            CURLE_USE_SSL_FAILED:
            return .notTrusted(text)
        case CURLE_LOGIN_DENIED: return .refused(status: 401)
        case CURLE_REMOTE_FILE_NOT_FOUND, CURLE_REMOTE_ACCESS_DENIED: return .refused(status: 403)
        case CURLE_URL_MALFORMAT: return .badURL(text)
        default: return .failed(text)
        }
    }

    // MARK: What curl calls back

    func take(head bytes: UnsafeRawBufferPointer) -> Bool {
        headBytes += bytes.count
        guard headBytes <= Transfer.longestHeadBytes else {
            refusal = .failed("the answer's head is too long")
            return false
        }
        let line = String(decoding: bytes, as: UTF8.self)
        if line.lowercased().hasPrefix("etag:") {
            let value = line.dropFirst(5).filter { $0.isASCII && !$0.isNewline && $0 != " " }
            // A weak tag does not promise the same bytes. RFC 9110 §8.8.3
            tag = value.hasPrefix("W/") || value.count > 200 ? nil : String(value)
        }
        return true
    }

    func take(bytes: UnsafeRawBufferPointer) -> Bool {
        // The text of an error is no firmware.
        if isHTTP, let handle, kerb_curl_status(handle) >= 300 { return true }
        // Once per try: before the first byte that a later one may go on from.
        tagged?(tag)
        tagged = nil
        guard written + Int64(bytes.count) <= limit else {
            refusal = .tooLarge
            return false
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(
                descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                refusal = .file(FileError(path, errno: errno))
                return false
            }
            rest = rest.dropFirst(count)
        }
        written += Int64(bytes.count)
        return true
    }

    func give(_ room: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            let count = Glibc.read(descriptor, room.baseAddress, room.count)
            if count >= 0 { return count }
            if errno == EINTR { continue }
            refusal = .file(FileError(path, errno: errno))
            return Int(CURL_READFUNC_ABORT)
        }
    }

    var mayContinue: Bool { !isCancelled.load(ordering: .relaxed) }

    func open(_ address: UnsafePointer<curl_sockaddr>) -> curl_socket_t {
        // In place: the field is declared as the 16 bytes of IPv4 but holds IPv6's 28 as well.
        let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) ?? 0
        let refused = hostRules.refusal(
            (UnsafeRawPointer(address) + offset).assumingMemoryBound(to: sockaddr.self))
        if let refused {
            refusal = .forbidden("the host is \(refused)")
            return -1  // CURL_SOCKET_BAD
        }
        return socket(
            address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue),
            address.pointee.protocol)
    }
}

// The context is the carrier whose thread waits in `curl_easy_perform`.

private func carrier(_ context: UnsafeMutableRawPointer) -> FileCarrier {
    Unmanaged<FileCarrier>.fromOpaque(context).takeUnretainedValue()
}

private func takeHead(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let line = UnsafeRawBufferPointer(start: bytes, count: count)
    return carrier(context).take(head: line) ? count : 0
}

private func takeBytes(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let part = UnsafeRawBufferPointer(start: bytes, count: count)
    return carrier(context).take(bytes: part) ? count : 0
}

private func giveBytes(
    _ room: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    return carrier(context).give(UnsafeMutableRawBufferPointer(start: room, count: size * count))
}

private func mayGoOn(
    _ context: UnsafeMutableRawPointer?, _ a: curl_off_t, _ b: curl_off_t, _ c: curl_off_t,
    _ d: curl_off_t
) -> Int32 {
    guard let context else { return 1 }
    return carrier(context).mayContinue ? 0 : 1
}

private func openSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype,
    _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let context, let address else { return -1 }
    return carrier(context).open(address)
}
