import { useEffect, useState } from 'preact/hooks';

/// Whether a media query holds, kept up to date.
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const onChange = () => setHolds(list.matches);
    onChange();
    list.addEventListener('change', onChange);
    return () => list.removeEventListener('change', onChange);
  }, [query]);
  return holds;
}

export const useDark = () => useMedia('(prefers-color-scheme: dark)');
