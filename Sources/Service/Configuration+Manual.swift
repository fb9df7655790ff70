extension Configuration {
    /// The manual page of a configuration file, from the same description that reads it.
    package static func manual(
        name: String, program: String, about: String, _ read: (ConfigSection) -> Value
    ) -> String {
        let context = ConfigContext(file: "schema", environment: [:], isSchema: true)
        let top = ConfigSection(context, path: "", nil, at: .byDefault)
        _ = read(top)
        var page = Roff(name: name, section: 5, source: program)
        page.heading("NAME")
        page.raw("\(Roff.escaped(name)) \\- \(Roff.escaped(about))")
        page.heading("DESCRIPTION")
        page.paragraph(
            "YAML: keys with values, one a line; a list's items begin with a dash. An unknown key, "
                + "a wrong value or a key given twice stops the start and is named with line, "
                + "column and mend. Secrets are paths of files, never values. A relative path "
                + "starts at the folder of this file.")
        page.paragraph(
            "Every key can be overridden by an environment variable: \(name)'s key a.bCd is "
                + "KERB_A__B_CD, and an item of a list carries its number, from 0. What is in "
                + "force, and who set it:")
        page.example("\(program) config show --origin")
        page.heading("KEYS")
        top.schema.describe("", &page)
        page.heading("SEE ALSO")
        page.line("\(program)(1)")
        return page.text.trimmedEnd
    }
}

extension ConfigSchema {
    fileprivate func describe(_ prefix: String, _ page: inout Roff) {
        for (key, about, entry) in entries {
            let path = prefix + key
            let sentence = about.isEmpty ? "" : "\(about). "
            switch entry {
            case .section(let schema):
                page.entry(Roff.bold("\(path):"), sentence.isEmpty ? "A section." : sentence)
                schema.describe("\(path).", &page)
            case .list(let schema):
                page.entry(Roff.bold("\(path):"), "\(sentence)A list.")
                schema.describe("\(path)[].", &page)
            case .value(let kind, let fallback):
                let end =
                    fallback.map { $0.isEmpty ? "" : " Default \($0)." }
                    ?? (required.contains(key) ? " Required." : " May be left out.")
                let what = kind.sentence
                page.entry(
                    Roff.bold(path),
                    sentence + (what.first?.uppercased() ?? "") + what.dropFirst() + "." + end)
            }
        }
    }
}
