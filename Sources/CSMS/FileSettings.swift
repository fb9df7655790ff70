/// Where files lie, how stations reach them, and every bound.
package struct FileSettings: Hashable, Sendable {
    /// The folder, beside the database; made with mode 0700.
    package var folder: String
    /// What one-time URLs begin with, without a slash at the end; stations must reach it.
    package var url: String
    package var mostFirmwareBytes: Int64 = 512 << 20
    package var mostLogBytes: Int64 = 100 << 20
    /// Uploads of stations are deleted after these days.
    package var logDays = 30
    /// And before, the oldest first, when all of them together are larger.
    package var logBytesKept: Int64 = 2 << 30
    /// How long a one-time URL can be used.
    package var linkHours = 48
    /// Requests with a body that a link answers; a broken download resumes with a further one.
    package var usesOfALink = 100
    /// Transfers under way; further ones are told to come again.
    package var transfers = 64
    /// Left free on the disk, which is the database's too.
    package var freeBytes: Int64 = 256 << 20

    package init(folder: String, url: String) {
        self.folder = folder
        self.url = url
    }
}
