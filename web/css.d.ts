/** Style sheets that a module brings along, which Vite puts into the page. */

declare module '*.css';
