/// Completions for shells, made from the table so that they never lag behind it.
extension CommandTable {
    enum Shell: String, CaseIterable { case bash, zsh, fish }

    func completion(for shell: Shell) -> String {
        switch shell {
        case .bash: bash
        case .zsh: zsh
        case .fish: fish
        }
    }

    /// Values that a shell can offer words for.
    private static let words = [
        "--log-level": Log.Level.allCases.map(\.rawValue),
        "--log-format": Log.Format.allCases.map(\.rawValue),
    ]

    private var flags: [Flag] {
        var seen: Set<String> = []
        return (commands.flatMap(\.flags) + Self.everywhere).filter {
            seen.insert($0.name).inserted
        }
    }

    private var function: String { "_" + program.map { $0 == "-" ? "_" : String($0) }.joined() }

    private func takesFile(_ word: String) -> Bool {
        ["FILE", "DIR", ".json"].contains { word.hasSuffix($0) || word == "[\($0)]" }
    }

    private func firstWords() -> [String] {
        var seen: Set<String> = []
        return commands.compactMap { command in
            let word = command.name.split(separator: " ").first.map(String.init) ?? ""
            return seen.insert(word).inserted ? word : nil
        }
    }

    // MARK: bash

    private var bash: String {
        let withValue = flags.filter { $0.value != nil }
        let files = withValue.filter { takesFile($0.value ?? "") }.map(\.name)
        let plain = withValue.filter { !takesFile($0.value ?? "") && Self.words[$0.name] == nil }
        let words = Self.words.sorted { $0.key < $1.key }.map { name, words in
            "        \(name)) COMPREPLY=($(compgen -W '\(words.joined(separator: " "))' -- \"$cur\")); return ;;"
        }
        let everywhere = Self.everywhere.map(\.name).joined(separator: " ")
        let cases = commands.map { command in
            let flags = command.flags.map(\.name).joined(separator: " ")
            let file = command.arguments.contains(where: takesFile) ? "files=1" : "files="
            return "        '\(command.name)'*) flags='\(flags)'; \(file) ;;"
        }
        let groups = Dictionary(grouping: commands.filter { $0.name.contains(" ") }) {
            String($0.name.prefix { $0 != " " })
        }
        let seconds = groups.sorted { $0.key < $1.key }.map { first, commands in
            let second = commands.map { String($0.name.dropFirst(first.count + 1)) }
            return "        '\(first) ') flags='\(second.joined(separator: " "))' ;;"
        }
        return """
            # Completion of \(program) for bash; made by `\(program) help --completion bash`.
            \(function)() {
                local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
                local i word plain='' flags='\(firstWords().joined(separator: " "))' files=
                case $prev in
                    \(files.isEmpty ? "''" : files.joined(separator: "|"))) COMPREPLY=($(compgen -f -- "$cur")); return ;;
            \(words.joined(separator: "\n"))
                    \(plain.isEmpty ? "''" : plain.map(\.name).joined(separator: "|"))) return ;;
                esac
                for ((i = 1; i < COMP_CWORD; i++)); do
                    word=${COMP_WORDS[i]}
                    case $word in
                        \(withValue.map(\.name).joined(separator: "|"))) i=$((i + 1)) ;;
                        -*) ;;
                        *) plain+="$word " ;;
                    esac
                done
                case $plain in
            \((seconds + cases).joined(separator: "\n"))
                esac
                [[ $cur != -* ]] || flags+=' \(everywhere)'
                COMPREPLY=($(compgen -W "$flags" -- "$cur"))
                [[ -z $files || $cur == -* ]] || COMPREPLY+=($(compgen -f -- "$cur"))
            }
            complete -o filenames -F \(function) \(program)
            """
    }

    // MARK: zsh

    private var zsh: String {
        let cases = commands.map { command in
            let flags = (command.flags + Self.everywhere).map(zshFlag).joined(separator: " ")
            let file =
                command.arguments.contains(where: takesFile) ? " '*:file:_files'" : ""
            return "    '\(command.name)'*) _arguments -s \(flags)\(file) ;;"
        }
        let list = commands.map { "    '\($0.name):\(quotedZsh($0.about))'" }
        return """
            #compdef \(program)
            # Completion of \(program) for zsh; made by `\(program) help --completion zsh`.
            local -a commands plain
            commands=(
            \(list.joined(separator: "\n"))
            )
            plain=(${words[2,CURRENT-1]:#-*})
            case "${plain[*]}" in
            \(cases.joined(separator: "\n"))
                *) _describe command commands ;;
            esac
            """
    }

    private func zshFlag(_ flag: Flag) -> String {
        let about = "'\(flag.name)[\(quotedZsh(flag.about))]"
        guard let value = flag.value else { return about + "'" }
        if let words = Self.words[flag.name] {
            return about + ":\(value):(\(words.joined(separator: " ")))'"
        }
        return about + ":\(value):\(takesFile(value) ? "_files" : "")'"
    }

    private func quotedZsh(_ text: String) -> String {
        text.map { character in
            switch character {
            case "'": "'\\''"
            case "[", "]", ":": "\\\(character)"
            default: String(character)
            }
        }.joined()
    }

    // MARK: fish

    private var fish: String {
        let head =
            "# Completion of \(program) for fish; made by `\(program) help --completion fish`."
        var lines = [head, "complete -c \(program) -f"]
        for word in firstWords() {
            let about = commands.first { $0.name == word }?.about ?? ""
            lines.append(
                "complete -c \(program) -n __fish_use_subcommand -a '\(word)' -d '\(quotedFish(about))'"
            )
        }
        for command in commands {
            let parts = command.name.split(separator: " ").map(String.init)
            if parts.count == 2 {
                lines.append(
                    "complete -c \(program) -n '__fish_seen_subcommand_from \(parts[0])' "
                        + "-a '\(parts[1])' -d '\(quotedFish(command.about))'")
            }
            let condition = parts.map { "__fish_seen_subcommand_from \($0)" }
                .joined(separator: "; and ")
            for flag in command.flags { lines.append(fishFlag(flag, condition)) }
            if command.arguments.contains(where: takesFile) {
                lines.append("complete -c \(program) -n '\(condition)' -F")
            }
        }
        lines += Self.everywhere.map { fishFlag($0, nil) }
        return lines.joined(separator: "\n")
    }

    private func fishFlag(_ flag: Flag, _ condition: String?) -> String {
        let when = condition.map { " -n '\($0)'" } ?? ""
        var line = "complete -c \(program)\(when) -l \(flag.name.dropFirst(2))"
        if let value = flag.value {
            line += takesFile(value) ? " -r -F" : " -x"
            if let words = Self.words[flag.name] { line += " -a '\(words.joined(separator: " "))'" }
        }
        return line + " -d '\(quotedFish(flag.about))'"
    }

    private func quotedFish(_ text: String) -> String {
        text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
    }
}
