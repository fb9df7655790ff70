import HTTPClient
import Station

/// Files over HTTP, HTTPS, FTP and FTPS, by libcurl.
struct CurlCarriage: FileCarriage {
    private let transfer: FileTransfer

    init(_ settings: UpkeepSettings) {
        var rules = FileTransfer.Rules(hosts: settings.hosts, caFile: settings.transferCAFile)
        rules.deadlineSeconds = settings.transferSeconds
        transfer = FileTransfer(rules: rules)
    }

    func download(
        _ url: String, to path: String, limitBytes: Int64, resuming tag: String?,
        tagged: @escaping @Sendable (String?) -> Void
    ) async throws(CarriageError) {
        do throws(FileTransferError) {
            try await transfer.download(
                url, to: path, limitBytes: limitBytes, resuming: tag, tagged: tagged)
        } catch {
            throw Self.carriageError(error)
        }
    }

    func upload(_ path: String, to url: String) async throws(CarriageError) {
        do throws(FileTransferError) {
            try await transfer.upload(path, to: url)
        } catch {
            throw Self.carriageError(error)
        }
    }

    func masked(_ url: String) -> String { FileTransfer.masked(url) }

    private static func carriageError(_ error: FileTransferError) -> CarriageError {
        let kind: CarriageError.Kind =
            switch error {
            case .badURL: .badPlace
            case .forbidden, .refused(401), .refused(403): .notPermitted
            case .refused, .tooLarge, .notTrusted, .failed, .file, .cancelled: .other
            }
        return CarriageError(kind, mayHeal: error.mayHeal, String(describing: error))
    }
}
