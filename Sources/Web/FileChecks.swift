import Crypto
import Glibc
import Service

/// Files that a section names: whether they are there and what they should be. A file that this user
/// may not read is left to the agent's own user.
package struct FileChecks {
    private static let longestSecretBytes = 16_384

    private let section: ConfigSection

    package init(_ section: ConfigSection) { self.section = section }

    /// A password or key, of its owner alone.
    ///
    /// - Parameter mend: where one comes from.
    package func secret(
        _ key: String, _ path: String?, isRequired: Bool = false,
        mend: String = "put it there, mode 0600"
    ) {
        guard let path = there(key, path, isRequired, mend) else { return }
        do throws(FileError) {
            guard access(path, R_OK) == 0 else { return }
            let bytes = try FileSystem.read(path, limitBytes: Self.longestSecretBytes)
            if bytes.allSatisfy({ $0 == 0x0A || $0 == 0x0D }) {
                section.problem(
                    key, "\(path) is empty; write the secret into its first line")
            }
        } catch {
            section.problem(key, "\(error)")
        }
    }

    /// A secret's mode. Apart from `secret`: one that everybody here can read is to be told, but no
    /// reason to stop what runs.
    package func privacy(_ key: String, _ path: String?) {
        guard let path, FileChecks.isOpen(path) else { return }
        section.problem(key, "\(path) can be read by everybody here; chmod 600 \(path)")
    }

    /// Whether everybody on this machine may read or write it; false for what is not there.
    package static func isOpen(_ path: String) -> Bool {
        // Not there: another finding.
        ((try? FileSystem.mode(of: path)) ?? 0) & 0o007 != 0
    }

    /// One certificate or more, PEM.
    package func certificates(_ key: String, _ path: String?, isRequired: Bool = false) {
        guard let path = there(key, path, isRequired, "put it there, PEM"), access(path, R_OK) == 0
        else { return }
        do {
            let text = String(decoding: try FileSystem.read(path), as: UTF8.self)
            _ = try Certificate(pem: text)
        } catch let error as FileError {
            section.problem(key, "\(error)")
        } catch {
            section.problem(
                key, "\(path) holds no certificate; it begins with -----BEGIN CERTIFICATE-----")
        }
    }

    private func there(_ key: String, _ path: String?, _ isRequired: Bool, _ mend: String)
        -> String?
    {
        guard let path else {
            if isRequired { section.problem(key, "is missing; add the path of a file") }
            return nil
        }
        // A folder that this user may not enter is as good as one that is fine.
        if FileSystem.isAbsent(path) {
            section.problem(key, "\(path): no such file; \(mend)")
            return nil
        }
        return path
    }
}
