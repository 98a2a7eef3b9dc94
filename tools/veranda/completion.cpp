#include "tools/veranda/completion.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string_view>

namespace veranda::cli {

namespace {

using words_t = std::vector<std::string>;

constexpr const char* bash_script = R"bash(# bash completion for veranda; use: source <(veranda completion bash)
_veranda() {
  local IFS=$'\n' current=${COMP_WORDS[COMP_CWORD]} found
  [[ $current == '=' ]] && current=''
  found=($(veranda __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  compopt +o filenames 2>/dev/null
  case ${found[0]-} in
    :files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
    :directories) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")) ;;
    :names\ *) COMPREPLY=($(compgen -W "$(veranda get "${found[0]#:names }" -o name 2>/dev/null | sed 's|.*/||')" -- "$current")) ;;
    *) COMPREPLY=("${found[@]}") ;;
  esac
}
complete -F _veranda veranda
)bash";

constexpr const char* zsh_script = R"zsh(#compdef veranda
# zsh completion for veranda; put it as _veranda into a folder of $fpath, or use: source <(veranda completion zsh)
_veranda() {
  local -a found
  found=(${(f)"$(veranda __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  case ${found[1]-} in
    :files) _files ;;
    :directories) _files -/ ;;
    ':names '*) compadd -- ${(f)"$(veranda get "${found[1]#:names }" -o name 2>/dev/null | sed 's|.*/||')"} ;;
    *) compadd -- $found ;;
  esac
}
if [[ $funcstack[1] == _veranda ]]; then _veranda "$@"; else compdef _veranda veranda; fi
)zsh";

const std::string repositories = "repositories";
const words_t kinds{repositories, "packagerevisions", "packagerevisionresources", "packages"};

bool has(const words_t& words, std::string_view word) { return std::ranges::find(words, word) != words.end(); }

/// `--name` and `-n` of an option.
words_t spellings(const CLI::Option& option) {
  words_t out;
  for (const auto& name : option.get_lnames())
    out.push_back("--" + name);
  for (const auto& name : option.get_snames())
    out.push_back("-" + name);
  return out;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

/// What follows the type in `TEXT:{table,json}`.
words_t alternatives(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos)
    return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

/// Where the words before the one to be completed have led to.
class line {
public:
  explicit line(const CLI::App& root) : chain_{&root} {}

  void read(const std::string& word) {
    if (pending_ != nullptr && word != "=") {
      pending_ = nullptr;
    } else if (word == "=") {
      // its value is next
    } else if (word.size() > 1 && word.front() == '-') {
      const auto* const option = find(word.substr(0, word.find('=')));
      if (option != nullptr && takes_value(*option) && word.find('=') == std::string::npos)
        pending_ = option;
    } else if (const auto* const sub = subcommand(word)) {
      chain_.push_back(sub);
    } else {
      positionals_.push_back(word);
    }
  }

  [[nodiscard]] words_t offer(const std::string& current) const {
    const auto typed = current == "=" ? std::string{} : current;
    if (pending_ != nullptr)
      return values(*pending_, typed, {});
    if (const auto equals = typed.find('='); typed.starts_with("--") && equals != std::string::npos) {
      const auto* const option = find(typed.substr(0, equals));
      return option == nullptr ? words_t{} : values(*option, typed, typed.substr(0, equals + 1));
    }
    if (typed.starts_with("-"))
      return beginning(options(), typed, {});
    if (const auto names = subcommands(); !names.empty())
      return beginning(names, typed, {});
    const auto* const next = positional();
    return next == nullptr ? words_t{} : values(*next, typed, {});
  }

private:
  static words_t beginning(const words_t& all, const std::string& typed, const std::string& prefix) {
    words_t out;
    for (const auto& word : all)
      if ((prefix + word).starts_with(typed))
        out.push_back(prefix + word);
    return out;
  }

  [[nodiscard]] words_t values(const CLI::Option& option, const std::string& typed, const std::string& prefix) const {
    const auto name = option.get_single_name();
    if (const auto words = alternatives(option); !words.empty())
      return beginning(words, typed, prefix);
    if (name == "kind")
      return beginning(chain_.back()->get_name() == "delete" ? words_t{repositories} : kinds, typed, prefix);
    if (option.get_positional() && name == "name")
      return {":names " + (positional_kind().empty() ? repositories : positional_kind())};
    if (name == "filename" || name == "url" || name.ends_with("-file"))
      return {":files"};
    if (name.ends_with("-dir"))
      return {":directories"};
    return {};
  }

  /// Of `get KIND NAME...`.
  [[nodiscard]] std::string positional_kind() const {
    return positionals_.empty() || chain_.back()->get_option_no_throw("kind") == nullptr ? std::string{} : positionals_.front();
  }

  [[nodiscard]] const CLI::App* subcommand(const std::string& word) const {
    for (const auto* sub : chain_.back()->get_subcommands([](const CLI::App*) { return true; }))
      if (sub->get_name() == word)
        return sub;
    return nullptr;
  }

  [[nodiscard]] words_t subcommands() const {
    words_t out;
    for (const auto* sub : chain_.back()->get_subcommands([](const CLI::App*) { return true; }))
      out.push_back(sub->get_name());
    return out;
  }

  [[nodiscard]] const CLI::Option* find(const std::string& spelling) const {
    for (const auto* app : chain_)
      for (const auto* option : app->get_options())
        if (has(spellings(*option), spelling))
          return option;
    return nullptr;
  }

  /// Of the command and of those that it belongs to.
  [[nodiscard]] words_t options() const {
    words_t out;
    for (auto app = chain_.rbegin(); app != chain_.rend(); ++app)
      for (const auto* option : (*app)->get_options())
        for (auto& name : spellings(*option))
          if (!has(out, name))
            out.push_back(std::move(name));
    return out;
  }

  /// The one that comes next; the last one may take many words.
  [[nodiscard]] const CLI::Option* positional() const {
    std::size_t left = positionals_.size();
    for (const auto* option : chain_.back()->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
      const auto most = static_cast<std::size_t>(std::max(option->get_items_expected_max(), 0));
      if (left < most)
        return option;
      left -= most;
    }
    return nullptr;
  }

  std::vector<const CLI::App*> chain_; ///< from the program to the command
  const CLI::Option* pending_ = nullptr; ///< waits for its value
  words_t positionals_;
};

} // namespace

words_t complete(const CLI::App& app, const words_t& words) {
  if (words.empty())
    return {};
  line read{app};
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    read.read(words[i]);
  return read.offer(words.back());
}

std::string completion_script(const std::string& shell) { return shell == "bash" ? bash_script : shell == "zsh" ? zsh_script : ""; }

} // namespace veranda::cli
