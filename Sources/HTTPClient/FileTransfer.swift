import Service
import Synchronization

/// Carries one file to or from a place that a peer named, over HTTP, HTTPS, FTP or FTPS.
///
/// The file never lies in memory whole. Each transfer runs on a thread of its own, because there is
/// at most one of a kind at a time. Redirects are followed by hand, so that each place is judged.
package struct FileTransfer: Sendable {
    /// Where files may go to and come from.
    package struct Rules: Hashable, Sendable {
        /// Hosts the owner of the board wrote down: only these are reached, wherever they are and
        /// without TLS if need be. Empty: any public host, over TLS.
        package var hosts: [String]
        /// A PEM file of authorities instead of the system's.
        package var caFile: String?
        /// From the first to the last byte of one try.
        package var deadlineSeconds = 1800
        package var connectSeconds = 20
        /// A place that sends nothing for this long has died.
        package var silenceSeconds = 60
        package var redirects = 3

        package init(hosts: [String] = [], caFile: String? = nil) {
            self.hosts = hosts.map { $0.lowercased() }
            self.caFile = caFile
        }
    }

    package let rules: Rules

    package init(rules: Rules) { self.rules = rules }

    /// Fetches a file to `path`, which only we may read.
    ///
    /// - Parameter resuming: the tag of an earlier try whose bytes lie at `path`; where the place
    ///   still has the same file, only what is missing is fetched.
    /// - Parameter tagged: hears the file's tag, or that it has none, before its first byte.
    nonisolated(nonsending) package func download(
        _ url: String, to path: String, limitBytes: Int64, resuming tag: String? = nil,
        tagged: @escaping @Sendable (String?) -> Void = { _ in }
    ) async throws(FileTransferError) {
        try await perform { carrier throws(FileTransferError) in
            try carrier.download(
                url, to: path, limitBytes: limitBytes, resuming: tag, tagged: tagged)
        }
    }

    /// Sends the file at `path`. HTTP places get a PUT, and a POST where they refuse that.
    nonisolated(nonsending) package func upload(
        _ path: String, to url: String
    ) async throws(FileTransferError) {
        try await perform { carrier throws(FileTransferError) in
            try carrier.upload(path, to: url)
        }
    }

    /// The URL for a log line: without log-in, query and fragment, which may be secret.
    package static func masked(_ url: String) -> String {
        let plain = url.prefix { $0 != "?" && $0 != "#" }
        let scheme = plain.prefix { $0 != "/" }
        let rest = plain[scheme.endIndex...].drop { $0 == "/" }
        let authority = rest.prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return String(plain) }
        return scheme + "//***" + rest[at...]
    }

    nonisolated(nonsending) private func perform(
        _ body: @escaping @Sendable (FileCarrier) throws(FileTransferError) -> Void
    ) async throws(FileTransferError) {
        let carrier = FileCarrier(rules: rules)
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<Void, FileTransferError>, Never>) in
                _ = NativeThread.start("file transfer") {
                    do throws(FileTransferError) {
                        try body(carrier)
                        continuation.resume(returning: .success(()))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
            }
        } onCancel: {
            carrier.cancel()
        }
        try outcome.get()
    }
}

/// Why a file did not arrive.
package enum FileTransferError: Error, Hashable, Sendable {
    /// The URL is not one, or of a scheme that carries no files. Trying again does not help.
    case badURL(String)
    /// The rules forbid this place. Trying again does not help.
    case forbidden(String)
    /// Larger than allowed, or than the disk holds. Trying again does not help.
    case tooLarge
    /// The place refused the log-in, or the file.
    case refused(status: Int)
    /// Its certificate or TLS is not good.
    case notTrusted(String)
    case failed(String)
    case file(FileError)
    case cancelled

    /// Whether the same try may end otherwise later.
    package var mayHeal: Bool {
        switch self {
        case .badURL, .forbidden, .tooLarge, .cancelled: false
        case .refused(let status): status >= 500 || status == 408 || status == 429
        case .notTrusted, .failed, .file: true
        }
    }
}
