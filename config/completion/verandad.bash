# bash completion for verandad: its flags, as --help names them, and what their values are.
_verandad() {
  local IFS=$'\n' current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} placeholder help
  if [[ $current == '=' ]]; then current=''; fi
  if [[ $before == '=' ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
  help=$(verandad --help 2>/dev/null)
  placeholder=
  if [[ $before =~ ^--[a-z-]+$ ]]; then placeholder=$(sed -n "s/^  $before \([^ ].*\)\$/\1/p" <<<"$help" 2>/dev/null); fi
  case $before/$placeholder in
    --*/FILE) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
    --*/DIR) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")) ;;
    --*/?*) COMPREPLY=() ;;
    verandad/*) COMPREPLY=($(compgen -W "release"$'\n'"$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$help")" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' <<<"$help")" -- "$current")) ;;
  esac
}
complete -F _verandad verandad
